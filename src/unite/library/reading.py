"""Files taken apart ahead of the model: bytes in threads, clips and PDFs in processes.

A process has a time limit and may die of a file; the file then fails, or a clip is kept whole. The
processes start with the first file that needs them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Self

from unite.errors import DataError, ItemError, MediaError
from unite.library.clips import ClipFacts, look_at
from unite.library.known import Known
from unite.library.parts import Contents, read_parts
from unite.library.pdf import Pages, read_pdf
from unite.library.scan import Source
from unite.library.segments import Segmenting
from unite.media.pool import WorkerPool

AHEAD = 64
"""Files that are taken apart and wait for the model."""

SECONDS = 300.0
"""The longest that is looked for scenes, or read of a PDF; a process that takes twice as long
hangs and is ended."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file's contents, or the reason against them.

    Attributes:
        source: The file.
        contents: Its parts.
        unread: It could not be read, so that nothing is known about its contents.
    """

    source: Source
    contents: Contents
    unread: bool = False


class Reading:
    """Reads files; satisfies `unite.library.parts.Opener`. A context manager.

    Args:
        known: What the library holds; a known clip is not looked at again.
        segmenting: How the library cuts its clips.
        workers: Processes for clips and PDFs; 0: this process's threads, and no time limit.
    """

    def __init__(self, known: Known, segmenting: Segmenting, workers: int) -> None:
        self._known = known
        self._segmenting = segmenting
        self._workers = workers
        self._threads = ThreadPoolExecutor(max(2, workers), thread_name_prefix="read")
        self._pool: WorkerPool[Any, Any] | None = None
        self._lock = Lock()
        self._waiting: deque[Future[Read]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._waiting:
            future.cancel()
        with self._lock:
            if self._pool is not None:
                self._pool.close()
        self._threads.shutdown(cancel_futures=True)

    def chunks(self, sources: Iterable[Source]) -> Iterator[list[Read]]:
        """Give files in order, as many at a time as are ready; it waits for the first of them.

        Args:
            sources: The files.
        """
        ahead = iter(sources)
        while True:
            while len(self._waiting) < AHEAD and (source := next(ahead, None)) is not None:
                self._waiting.append(self._threads.submit(self._read, source))
            if not self._waiting:
                return
            ready = [self._waiting.popleft().result()]
            while self._waiting and self._waiting[0].done():
                ready.append(self._waiting.popleft().result())
            yield ready

    def picture(self, path: str) -> tuple[int, int] | None:
        """Width and height of a picture; None where its head does not tell."""
        from unite.media.image import picture_size

        try:
            height, width = picture_size(path)
        except MediaError:  # the encoder will say what is wrong with it
            return None
        return width, height

    def clip(self, path: str, digest: str) -> ClipFacts:
        """Length, size and segments of a clip."""
        known = self._known.clip(digest)
        return known or self._call(look_at, path, self._segmenting, SECONDS)

    def pdf(self, path: str) -> Pages:
        """Text of a PDF."""
        found: Pages = self._call(read_pdf, path, SECONDS)
        return found

    def _call(self, function: Any, *given: Any) -> Any:
        work = partial(function, *given)
        if not self._workers:
            return work()
        with self._lock:
            if self._pool is None:
                self._pool = WorkerPool(_do, workers=self._workers, seconds=2 * SECONDS)
        return self._pool.submit(work).result()

    def _read(self, source: Source) -> Read:
        try:
            return Read(source, read_parts(source, self))
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return Read(source, Contents([], {source.path: reason}), unread=True)
        except (DataError, ItemError) as error:
            return Read(source, Contents([], {source.path: str(error)}))


def _do(work: Any) -> Any:
    """Runs in a worker."""
    return work()
