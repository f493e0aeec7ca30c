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
        threads: How many, where there are no processes.
        seconds: The longest that a medium may take a process.
    """

    def __init__(self, see: See, *, workers: int, threads: int, seconds: float) -> None:
        self._see = partial(_timed, see)
        self._workers, self._threads, self._seconds = workers, threads, seconds
        self._pool: ThreadPoolExecutor | WorkerPool[Any, Decoded] | None = None
        self._lock = Lock()  # several streams may share an embedder

    @property
    def side_by_side(self) -> int:
        """How many media are decoded at a time."""
        return self._workers or self._threads

    def ask(self, reference: str | Image | Clip) -> Promise:
        """Have a medium decoded."""
        with self._lock:
            pool = self._pool = self._pool or self._started()
        if isinstance(pool, ThreadPoolExecutor):
            return pool.submit(self._see, reference)
        return pool.submit(reference, _name(reference))

    def close(self) -> None:
        """End them; what is not done is dropped."""
        pool, self._pool = self._pool, None
        if isinstance(pool, ThreadPoolExecutor):
            pool.shutdown(cancel_futures=True)
        elif pool is not None:
            pool.close()

    def _started(self) -> ThreadPoolExecutor | WorkerPool[Any, Decoded]:
        if not self._workers:
            return ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        return WorkerPool(
            self._see, workers=self._workers, seconds=self._seconds, initialiser=_one_thread
        )


def _name(reference: str | Image | Clip) -> str:
    if isinstance(reference, str):
        return name_of(reference)
    return name_of(reference.path) if isinstance(reference, Clip) else "a picture in memory"


def _timed(see: See, reference: str | Image | Clip) -> Decoded:
    start = time.perf_counter()
    pixels = see(reference)
    return Decoded(pixels, time.perf_counter() - start)


def _one_thread() -> None:
    """Workers share the cores; torch, which resizes frames, reads this when it is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
