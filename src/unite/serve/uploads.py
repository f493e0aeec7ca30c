"""Clients' media, laid into files of the server's own naming for as long as a request lasts.

Decoders read files, in other processes; what a client calls its media never becomes a path. Only
kinds whose first bytes are known are let through: FFmpeg also reads playlists and scripts, which
name further files.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from unite.errors import ItemError, MediaError
from unite.media.suffixes import medium_of, suffix_of
from unite.serve.faults import RequestError
from unite.serve.schemas import ItemForm
from unite.types import Clip, Item

Kind = Literal["image", "video"]


class Uploads:
    """The media of one request.

    Args:
        folder: Where to lay them.
        files: Files of the form, by the name of their field.
        most: How many media it may have.
    """

    def __init__(self, folder: Path, files: Sequence[tuple[str, UploadFile]], most: int) -> None:
        self._folder = folder
        self._most = most
        self.files = files
        self._names: dict[str, str] = {}

    async def item(self, form: str | ItemForm) -> Item:
        """An item whose media are files.

        Raises:
            ItemError: It is empty, or a medium is not what it should be.
            RequestError: A medium is not data.
        """
        if isinstance(form, str):
            return Item(text=form)
        images = [await self._file("image", given) for given in _several(form.image)]
        videos = [Clip(await self._file("video", given)) for given in _several(form.video)]
        return Item(
            text=form.text,
            images=tuple(images),
            videos=tuple(videos),
            instruction=form.instruction or None,
        )

    def plain(self, message: str) -> str:
        """A message in which our own files are called what the client would."""
        for path, name in self._names.items():
            message = message.replace(path, name)
        return message

    async def _file(self, kind: Kind, given: str) -> str:
        if len(self._names) == self._most:
            raise RequestError(413, f"The request has more than {self._most} media.", param=kind)
        path = self._folder / f"{len(self._names):06}"  # none begins with another
        self._names[str(path)] = f"The {kind}"
        if given[:5].lower() == "data:":
            await run_in_threadpool(_write_data, path, given)
        elif given.startswith("attachment:"):
            source = self._attached(given.removeprefix("attachment:"), kind)
            await run_in_threadpool(_write_copy, path, source)
        else:
            raise RequestError(
                400,
                f"The {kind} is neither data nor an attachment; paths and addresses are not read.",
                "Send data:…;base64,…, or a file in a form.",
                param=kind,
            )
        await run_in_threadpool(_check_kind, path, kind)
        return str(path)

    def _attached(self, name: str, kind: Kind) -> UploadFile:
        for field, file in self.files:
            if field == name:
                return file
        raise RequestError(400, f"The form has no file named {name!r}.", param=kind)


@asynccontextmanager
async def uploads(
    folder: Path, files: Sequence[tuple[str, UploadFile]], most: int
) -> AsyncIterator[Uploads]:
    """A place for a request's media, emptied at the end of the block."""
    place = await run_in_threadpool(
        partial(TemporaryDirectory, dir=folder, ignore_cleanup_errors=True)
    )
    try:
        yield Uploads(Path(place.name), files, most)
    finally:
        await run_in_threadpool(place.cleanup)


def _several(given: str | list[str] | None) -> list[str]:
    if given is None:
        return []
    return [given] if isinstance(given, str) else given


def _write_data(path: Path, uri: str) -> None:
    head, comma, body = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise MediaError("The data URI is not in base64.", "Write data:image/png;base64,…")
    try:
        path.write_bytes(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError) as error:
        raise MediaError(
            f"The data URI is not valid base64: {error}.", "Encode the file again."
        ) from error


def _write_copy(path: Path, source: UploadFile) -> None:
    source.file.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(source.file, file, 1 << 20)


def _check_kind(path: Path, wanted: Kind) -> None:
    with path.open("rb") as file:
        head = file.read(12)
    found = medium_of(f"file{suffix_of(head)}")
    if not head:
        raise MediaError(f"The {wanted} is empty.", "Send its bytes.")
    if found is None:
        raise MediaError(
            f"The {wanted} is of no kind that is opened.",
            "Send PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF; MP4, MOV, MKV, WebM, AVI or MPEG.",
        )
    if found != wanted:
        raise ItemError(f"The {wanted} is {'an image' if found == 'image' else 'a video'}.")
