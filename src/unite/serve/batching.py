"""Items of many requests, embedded together.

Two threads call the model: one for what is text only, one for what has media, so that nobody's
words wait for somebody's film to be decoded. A thread takes what waits, gives it a few
milliseconds to become more, and embeds it as one batch; a bad item fails itself alone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread

from unite.serve.faults import RequestError
from unite.types import Embedding, Encoder, Item, Modality

ENDING_SECONDS = 30.0
"""How long the end waits for a batch that is being embedded; one that hangs would never end."""

Told = Callable[[str, int, float], None]
"""Called after a batch with the lane's name, the number of items, and seconds."""


@dataclass(slots=True)
class _Job:
    item: Item
    future: Future[Embedding] = field(default_factory=Future)


class Batcher:
    """Takes items from coroutines, gives them to the encoder's threads.

    Args:
        encoder: Must bear two callers at once.
        wait: Seconds that an item waits for company.
        batch: Most items at once.
        queue: Most items that wait or are being embedded.
        told: Hears of each batch.
    """

    def __init__(
        self, encoder: Encoder, *, wait: float, batch: int, queue: int, told: Told | None = None
    ) -> None:
        self._queue = queue
        told = told or (lambda lane, items, seconds: None)
        self._words, self._media = (
            _Lane(name, encoder, wait, batch, told) for name in ("text", "media")
        )

    @property
    def waiting(self) -> int:
        """Items that are not embedded yet."""
        return self._words.waiting + self._media.waiting

    async def embed(self, items: Sequence[Item]) -> list[Embedding]:
        """Embed items, in order; one that fails has its reason in place of a vector.

        Raises:
            RequestError: The queue is full, or the server is ending.
            CancelledError: Nobody waits any more; what is not being embedded yet will not be.
        """
        if self.waiting + len(items) > self._queue:
            rest = math.ceil(max(self._words.seconds_left, self._media.seconds_left))
            raise RequestError(
                429,
                f"{self.waiting} items wait already; at most {self._queue} may.",
                "Try again later.",
                code="queue_full",
                retry_after=max(1, rest),
            )
        jobs = [_Job(item) for item in items]
        for job in jobs:
            lane = self._words if job.item.modality == Modality.TEXT else self._media
            lane.put(job)
        try:
            return await asyncio.gather(*(asyncio.wrap_future(job.future) for job in jobs))
        except asyncio.CancelledError:
            for job in jobs:
                job.future.cancel()
            self._words.forget()
            self._media.forget()
            raise

    def close(self) -> None:
        """Finish what waits, then end; nobody waits for an encoder that hangs."""
        for lane in (self._words, self._media):
            lane.close()


class _Lane:
    def __init__(self, name: str, encoder: Encoder, wait: float, batch: int, told: Told) -> None:
        self._name, self._encoder, self._told = name, encoder, told
        self._wait, self._batch = wait, batch
        self._jobs: deque[_Job] = deque()
        self._running = 0
        self._pace = 0.0  # seconds an item, of late
        self._changed = Condition()
        self._closing = False
        self._thread = Thread(target=self._work, name=f"embed-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._jobs) + self._running

    @property
    def seconds_left(self) -> float:
        return self.waiting * self._pace

    def put(self, job: _Job) -> None:
        with self._changed:
            if self._closing:
                raise RequestError(503, "The server is ending.", "Try again.", retry_after=5)
            self._jobs.append(job)
            self._changed.notify()

    def forget(self) -> None:
        """Drop what was cancelled."""
        with self._changed:
            self._jobs = deque(job for job in self._jobs if not job.future.cancelled())

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(ENDING_SECONDS)

    def _work(self) -> None:
        while jobs := self._taken():
            start = time.perf_counter()
            here = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            self._running = len(here)  # who left holds no place
            self._embed(here)
            seconds = time.perf_counter() - start
            self._pace = 0.8 * self._pace + 0.2 * seconds / len(jobs)
            self._running = 0
            self._told(self._name, len(jobs), seconds)

    def _taken(self) -> list[_Job]:
        """The next batch; none when all is done and the lane closes."""
        full = lambda: len(self._jobs) >= self._batch or self._closing  # noqa: E731
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._closing)
                self._changed.wait_for(full, self._wait)
                if self._jobs or self._closing:  # all may leave while one waits for more
                    break
            jobs = [self._jobs.popleft() for _ in range(min(self._batch, len(self._jobs)))]
            self._running = len(jobs)
            return jobs

    def _embed(self, jobs: Sequence[_Job]) -> None:
        try:
            results = self._encoder.embed([job.item for job in jobs])
            for job, result in zip(jobs, results, strict=True):
                self._running -= 1  # first: who has his answer finds his place free
                job.future.set_result(result)
        except Exception as error:  # noqa: BLE001 - raised again in each request that waits
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
