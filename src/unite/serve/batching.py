"""Items of many requests, embedded together.

Two threads call the model: one for what is text only, one for what has media, so that nobody's
words wait for somebody's film to be decoded. A thread takes what waits, gives it a few
milliseconds to become more, and embeds it as one batch; a bad item fails itself alone. Requests
take turns, an item each, and a batch holds so much text at most: a query beside a request of many
books waits for the one being read and perhaps one more, not for all.
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

LETTERS = 64_000
"""Text of a batch, in characters; one item may be longer, and is then the only one."""

Told = Callable[[str, int, float], None]
"""Called after a batch with the lane's name, the number of items, and seconds."""


@dataclass(slots=True)
class _Job:
    item: Item
    future: Future[Embedding] = field(default_factory=Future)

    @property
    def letters(self) -> int:
        return len(self.item.text or "") + len(self.item.instruction or "")


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
        self._words.put([job for job in jobs if job.item.modality == Modality.TEXT])
        self._media.put([job for job in jobs if job.item.modality != Modality.TEXT])
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
        self._asked: deque[deque[_Job]] = deque()  # of each request, in turn: what waits
        self._running = 0
        self._pace = 0.0  # seconds an item, of late
        self._changed = Condition()
        self._closing = False
        self._thread = Thread(target=self._work, name=f"embed-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        with self._changed:
            return self._queued() + self._running

    @property
    def seconds_left(self) -> float:
        return self.waiting * self._pace

    def put(self, jobs: Sequence[_Job]) -> None:
        """Take the items of one request."""
        with self._changed:
            if self._closing:
                raise RequestError(503, "The server is ending.", "Try again.", retry_after=5)
            if jobs:
                self._asked.append(deque(jobs))
                self._changed.notify()

    def forget(self) -> None:
        """Drop what was cancelled."""
        with self._changed:
            left = (
                deque(job for job in theirs if not job.future.cancelled()) for theirs in self._asked
            )
            self._asked = deque(theirs for theirs in left if theirs)

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
        full = lambda: self._queued() >= self._batch or self._closing  # noqa: E731
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._asked or self._closing)
                self._changed.wait_for(full, self._wait)
                if self._asked or self._closing:  # all may leave while one waits for more
                    break
            jobs = self._in_turn()
            self._running = len(jobs)
            return jobs

    def _in_turn(self) -> list[_Job]:
        """An item of each request after the other; what is too long goes first next time."""
        jobs: list[_Job] = []
        passed: list[deque[_Job]] = []
        letters = 0
        while self._asked and len(jobs) < self._batch:
            theirs = self._asked.popleft()
            if jobs and letters + theirs[0].letters > LETTERS:
                passed.append(theirs)
                continue
            jobs.append(theirs.popleft())
            letters += jobs[-1].letters
            if theirs:
                self._asked.append(theirs)
        self._asked.extendleft(reversed(passed))
        return jobs

    def _queued(self) -> int:
        return sum(map(len, self._asked))

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
