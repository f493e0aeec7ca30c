"""Work in other processes: a file that hangs or kills its decoder costs itself only.

Workers are spawned, never forked: a fork beside torch or LanceDB may hang. They come from pebble
(a limit for each task, a dead worker replaced). What it loses when all workers die at once is
given again to fresh ones.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from threading import Lock, Thread
from typing import Any, Generic, Self, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from unite.errors import ItemError, MediaError, UniteError

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 3
_GLANCE = 1.0  # seconds between two looks at whether the workers still live
_function: Callable[[Any], Any]  # in a worker only: what it does


def cores() -> int:
    """Cores that this process may use; no more than 16, as each worker takes its memory."""
    allowed = getattr(os, "sched_getaffinity", None)
    return min(len(allowed(0)) if allowed else os.cpu_count() or 1, 16)


@dataclass(frozen=True, slots=True)
class Failure:
    """What stands in place of a result, and why."""

    error: ItemError


class Future(Generic[T, R]):
    """A result to come; made by `WorkerPool.submit`."""

    def __init__(self, pool: WorkerPool[T, R], payload: bytes, name: str) -> None:
        self._pool = pool
        self._name = name
        self._payload = payload
        self._home, self._inner = pool._schedule(payload)
        self._tries = 1

    def done(self) -> bool:
        """Whether `result` will answer at once, or must start again."""
        return self._inner.done() or not self._home.active

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        """Have a function called, in another thread, when this is done."""
        self._inner.add_done_callback(call)

    def cancel(self) -> None:
        """Give it up; a worker that is at it is ended."""
        self._inner.cancel()  # type: ignore[no-untyped-call]

    def result(self) -> R:
        """Wait for what the function returned.

        Raises:
            MediaError: It took longer than the limit, or the worker died of it.
            ItemError: What the function raised.
            UniteError: The workers die before they work at all.
        """
        found = self._outcome()
        if isinstance(found, Failure):
            raise found.error
        return found

    def _outcome(self) -> R | Failure:
        while not wait([self._inner], _GLANCE).done:
            if not self._home.active:
                self._again()
        try:
            return self._inner.result()
        except ProcessExpired as error:
            return Failure(_died(self._name, error.exitcode))
        except BrokenProcessPool:
            self._again()
            return self._outcome()
        except TimeoutError as error:
            if error.__cause__ is not None:  # the function's own, with its traceback
                raise
            return Failure(_too_slow(self._name, self._pool.seconds))

    def _again(self) -> None:
        self._tries += 1
        if self._tries > _TRIES:
            raise UniteError(
                f"The worker processes died {_TRIES} times before they had done anything.",
                "Is there memory enough for them? A script that starts them needs "
                "`if __name__ == '__main__':` around its work.",
            )
        self._home, self._inner = self._pool._schedule(self._payload)


class WorkerPool(Generic[T, R]):
    """Processes that apply one function to one thing after another. A context manager.

    Args:
        function: Importable by name, as is all that it takes and gives.
        workers: Processes.
        seconds: A task that takes longer is ended with its worker. None: no limit, and then a
            task is waited for without end if its worker dies in its first instant.
        initialiser: Called once in each worker before its first task.
    """

    def __init__(
        self,
        function: Callable[[T], R],
        *,
        workers: int,
        seconds: float | None,
        initialiser: Callable[[], None] | None = None,
    ) -> None:
        self.workers = workers
        self.seconds = seconds
        self._start = (function, initialiser)
        self._lock = Lock()
        self._closed = False
        self._pool = self._fresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; what they have not finished is lost."""
        with self._lock:
            self._closed = True
            _end(self._pool)

    def submit(self, given: T, name: str = "") -> Future[T, R]:
        """Hand one thing to the workers.

        Args:
            given: For the function.
            name: What messages call it.

        Raises:
            UniteError: The workers die before they work at all.
        """
        # Pickled here, where an error has a caller: in pebble's thread it would be lost.
        return Future(self, pickle.dumps(given), name)

    def map(self, given: Iterable[T], *, ahead: int) -> Iterator[R | Failure]:
        """Give the results in the order of what was given, each as soon as it is its turn.

        Args:
            given: Read only as far as needed.
            ahead: So many are under way or done beyond the one that is waited for.

        Raises:
            UniteError: The workers die before they work at all.
        """
        waiting: deque[Future[T, R]] = deque()
        for one in given:
            waiting.append(self.submit(one))
            if len(waiting) > ahead:
                yield waiting.popleft()._outcome()
        while waiting:
            yield waiting.popleft()._outcome()

    def _fresh(self) -> ProcessPool:
        context = get_context("spawn")
        return ProcessPool(self.workers, initializer=_begin, initargs=self._start, context=context)

    def _schedule(self, payload: bytes) -> tuple[ProcessPool, ProcessFuture[R | Failure]]:
        with self._lock:
            if self._closed:
                raise ValueError("The pool is closed.")
            if not self._pool.active:
                _end(self._pool)
                self._pool = self._fresh()
            return self._pool, self._pool.schedule(_call, (payload,), timeout=self.seconds)


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _begin(function: Callable[[Any], Any], initialiser: Callable[[], None] | None) -> None:
    """Runs in a worker, first."""
    global _function
    _function = function
    end_with_parent()
    if initialiser is not None:
        initialiser()


def end_with_parent() -> None:
    """In a worker: end when its parent does, even if that is killed.

    A killed parent closes no queue that a worker waits on, and a worker that waits holds the pipes
    that the parent wrote to: whoever reads them would wait for ever.
    """

    def watch(sentinel: int) -> None:
        connection.wait([sentinel])
        os._exit(1)

    if parent := parent_process():
        Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _call(payload: bytes) -> Any:
    """Runs in a worker: the function's result, or why there is none."""
    try:
        return _function(pickle.loads(payload))
    except ItemError as error:
        return Failure(error)
    except MemoryError:
        return Failure(MediaError("It needs more memory than there is.", "Make it smaller."))


def _died(name: str, code: int) -> MediaError:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    of = f" of {name}" if name else ""
    return MediaError(f"The decoder{of} died ({how}).", "Is the file whole? Replace it.")


def _too_slow(name: str, seconds: float | None) -> MediaError:
    what = f"Decoding {name}" if name else "Decoding"
    return MediaError(f"{what} timed out after {seconds:g} s.", "Is the file whole? Replace it.")
