"""Small pictures of the library's items, made in a process of their own and kept a while."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unite.errors import ItemError
from unite.media.pool import WorkerPool
from unite.serve.faults import RequestError
from unite.stores.protocol import Record
from unite.types import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 480
"""Longest side in pixels: sharp at twice the density of the page's cards."""
KEPT = 1024
SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    ref: str | Clip
    side: int = SIDE


class Thumbnails:
    """Makes thumbnails; its processes start with the first.

    Args:
        workers: How many processes.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: WorkerPool[_Wanted, bytes] | None = None
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def webp(self, record: Record, side: int = SIDE) -> bytes:
        """A record's thumbnail as WebP; those of the usual side are kept.

        Raises:
            RequestError: It has none, or its file cannot be opened.
        """
        if side != SIDE:
            return await self._made(record, side)
        key = (record.id, record.digest)
        if key not in self._kept:
            self._kept[key] = await self._made(record, side)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def warm_up(self, picture: str) -> None:
        """Start the processes before anybody waits for them."""
        self._started().submit(_Wanted(picture))

    def close(self) -> None:
        """End the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    async def _made(self, record: Record, side: int) -> bytes:
        clip = "video" in record.modality and "image" not in record.modality
        ref = Clip(record.path, record.start, record.end) if clip else record.path
        future = self._started().submit(_Wanted(ref, side))
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake(_: object) -> None:
            loop.call_soon_threadsafe(done.set)

        future.add_done_callback(wake)
        await done.wait()
        try:
            return await asyncio.to_thread(future.result)
        except ItemError as error:
            message = str(error).replace(record.path, "The file")
            raise RequestError(404, message, code="no_thumbnail") from error

    def _started(self) -> WorkerPool[_Wanted, bytes]:
        if self._pool is None:
            self._pool = WorkerPool(draw, workers=self._workers, seconds=SECONDS)
        return self._pool


def draw(wanted: _Wanted) -> bytes:
    """Make a thumbnail. Runs in a worker.

    Raises:
        MediaError: The medium cannot be opened.
    """
    image = _picture(wanted)
    image.thumbnail((wanted.side, wanted.side))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


def _picture(wanted: _Wanted) -> Image:
    if isinstance(wanted.ref, Clip):
        from unite.library.thumbnails import thumbnails

        frames = thumbnails(wanted.ref)
        return frames[len(frames) // 3]  # a first frame is often black
    from unite.media.image import open_image

    return open_image(wanted.ref).image
