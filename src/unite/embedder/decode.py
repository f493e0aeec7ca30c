"""Media decoded beside the network: in threads of this process, or in processes of their own.

Threads cost nothing to start and share all memory. Processes survive what no thread does: a file
that kills its decoder, eats all memory or hangs costs itself only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from unite.media.pool import WorkerPool
from unite.media.source import name_of
from unite.model.preprocess import Pixels, Seen
from unite.types import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

See = Callable[[Any], Pixels | Seen]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A medium's pixels, and how long they took."""

    pixels: Pixels | Seen
    seconds: float


class Promise(Protocol):
    """A medium that is being decoded."""

    def done(self) -> bool:
        """Whether `result` answers at once."""
        ...

    def result(self) -> Decoded:
        """Wait for it.

        Raises:
            ItemError: It cannot be decoded.
        """
        ...

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        """Have a function called when it is done, in whatever thread."""
        ...

    def cancel(self) -> object:
        """Give it up."""
        ...


class Decoders:
    """Threads or processes that decode; started with the first medium.

    Args:
        see: Gives the pixels of a reference; importable by name if processes are wanted.
        workers: Processes; 0: threads.
        threads: How many, where there are no processes, and for pictures in memory.
        seconds: The longest that a medium may take a process.
    """

    def __init__(self, see: See, *, workers: int, threads: int, seconds: float) -> None:
        self._see = partial(_timed, see)
        self._workers, self._threads, self._seconds = workers, threads, seconds
        self._pool: WorkerPool[Any, Decoded] | None = None
        self._here: ThreadPoolExecutor | None = None
        self._lock = Lock()  # several streams may share an embedder

    @property
    def side_by_side(self) -> int:
        """How many media are decoded at a time."""
        return self._workers or self._threads

    def ask(self, reference: str | Image | Clip) -> Promise:
        """Have a medium decoded; a picture in memory always by a thread.

        What Pillow sends to a process is not all that it holds: palettes lose their alpha.
        """
        with self._lock:
            if self._workers and isinstance(reference, str | Clip):
                self._pool = self._pool or self._processes()
                return self._pool.submit(reference, _name(reference))
            self._here = self._here or ThreadPoolExecutor(
                self._threads, thread_name_prefix="decode"
            )
            return self._here.submit(self._see, reference)

    def close(self) -> None:
        """End them; what is not done is dropped."""
        pool, self._pool = self._pool, None
        here, self._here = self._here, None
        try:
            if pool is not None:
                pool.close()
        finally:
            if here is not None:
                here.shutdown(cancel_futures=True)

    def _processes(self) -> WorkerPool[Any, Decoded]:
        return WorkerPool(
            self._see, workers=self._workers, seconds=self._seconds, initialiser=_one_thread
        )


def _name(reference: str | Clip) -> str:
    return name_of(reference if isinstance(reference, str) else reference.path)


def _timed(see: See, reference: str | Image | Clip) -> Decoded:
    start = time.perf_counter()
    pixels = see(reference)
    return Decoded(pixels, time.perf_counter() - start)


def _one_thread() -> None:
    """Workers share the cores; torch, which resizes frames, reads this when it is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
