"""Where batches run: beside the caller on one device, or in a process for each of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from unite.embedder.encode import BatchEncoder, Encoded
from unite.errors import MediaError, UniteError
from unite.media.pool import WorkerPool
from unite.model.preprocess import Features, Preprocessor

if TYPE_CHECKING:
    from unite.model.policy import Policy

Batch = Sequence[Features]


class Seats(Protocol):
    """Runs batches; as many at a time as there are devices."""

    count: int

    def submit(self, batch: Batch) -> Future[Encoded]:
        """Have a batch embedded."""
        ...

    def now(self, batch: Batch) -> Future[Encoded]:
        """Have a batch embedded when no other is, and wait for it."""
        ...

    def close(self) -> None:
        """End them; what is not done is dropped."""
        ...


class ThreadSeat:
    """A thread of this process, started with the first batch."""

    count = 1

    def __init__(self, encode: Callable[[Batch], Encoded]) -> None:
        self._encode = encode
        self._thread: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def submit(self, batch: Batch) -> Future[Encoded]:
        """Have a batch embedded after those before it."""
        with self._lock:
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="encode")
            return self._thread.submit(self._encode, batch)

    def now(self, batch: Batch) -> Future[Encoded]:
        """Embed a batch in the caller's thread."""
        future: Future[Encoded] = Future()
        future.set_result(self._encode(batch))
        return future

    def close(self) -> None:
        """End the thread; what is not done is dropped."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(cancel_futures=True)


@dataclass(slots=True)
class DeviceEncoder:
    """A model that is loaded in the process that first calls it, onto a device.

    Attributes:
        name: Of the model, as `load_model` takes it.
        dtype: What it computes in.
        policy: With the frames that are wanted.
        device: Such as `cuda:1`.
    """

    name: str
    dtype: str | None
    policy: Policy
    device: str
    _encoder: BatchEncoder | None = None

    def __call__(self, batch: Batch) -> Encoded:
        """Embed a batch."""
        if self._encoder is None:
            from unite.model.checkpoint import load_model

            model = replace(load_model(self.name, dtype=self.dtype), policy=self.policy)
            model.encoder.to(self.device)
            self._encoder = BatchEncoder(model, Preprocessor(model.tokenizer, model.policy))
        return self._encoder(batch)


class ProcessSeats:
    """A process for each device, each with the model in it.

    Args:
        encoders: One for each device.
    """

    def __init__(self, encoders: Sequence[DeviceEncoder]) -> None:
        self.count = len(encoders)
        self._pools = [WorkerPool(part, workers=1, seconds=None) for part in encoders]
        self._free: SimpleQueue[WorkerPool[Batch, Encoded]] = SimpleQueue()
        for pool in self._pools:
            self._free.put(pool)
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="device")

    def submit(self, batch: Batch) -> Future[Encoded]:
        """Have a batch embedded by the first device that is free."""
        return self._threads.submit(self._run, batch)

    def now(self, batch: Batch) -> Future[Encoded]:
        """Have a batch embedded."""
        return self.submit(batch)

    def close(self) -> None:
        """End the processes; what is not done is dropped."""
        self._threads.shutdown(cancel_futures=True)
        for pool in self._pools:
            pool.close()

    def _run(self, batch: Batch) -> Encoded:
        pool = self._free.get()
        try:
            return pool.submit(batch).result()
        except MediaError as error:  # what the pool says of a worker that died
            raise UniteError(
                f"A model's process died: {error.message}",
                "Is there memory enough? The same command goes on where it stood.",
            ) from error
        finally:
            self._free.put(pool)
