"""Items in, embeddings out in the same order, decoding and network side by side in bounded memory.

One thread, the caller's, reads items, asks for their media and hands out results; it waits only
when it can do nothing of these. Windows of prepared items are closed by their tokens alone, never
by what happens to be ready, so the same items fall into the same batches in every run.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary, ref

from unite.embedder.decode import Decoders
from unite.embedder.encode import Encoded, batches
from unite.embedder.figures import Figures
from unite.embedder.rows import Medium, Row, bytes_of, key_of
from unite.embedder.seats import Seats
from unite.errors import ItemError
from unite.model.packing import padded_tokens
from unite.model.preprocess import Features, Pixels, Preprocessor, Seen
from unite.types import Clip, Embedding, Item

if TYPE_CHECKING:
    from PIL.Image import Image

AHEAD = 2048
"""Items that are read and in no window yet."""
UNGIVEN = 8192
"""Items that are read and not given out yet; so many equal ones may wait for the first of them."""
REMEMBERED = 4096
"""Distinct items whose results are kept for items equal to them."""
_TOKEN_BYTES = 2 * 3 * 28 * 28
_GLANCE = 1.0  # seconds between two looks, should a wake-up be lost with a worker


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of a window, in which items are sorted by length, and most tokens of a batch."""

    window: int
    batch: int

    @property
    def bytes_ahead(self) -> int:
        """Decoded media that wait for their windows: about two windows of nothing else."""
        return 2 * self.window * _TOKEN_BYTES


@dataclass(slots=True)
class Flow:
    """One stream of items through the machine.

    Attributes:
        items: What to embed; read only as far ahead as needed.
        preprocessor: Makes features of items.
        decoders: Decode media.
        seats: Run batches.
        budget: Sizes of windows and batches.
        figures: Takes down what was done.
    """

    items: Iterator[Item]
    preprocessor: Preprocessor
    decoders: Decoders
    seats: Seats
    budget: Budget
    figures: Figures

    _ended: bool = False
    _asked: deque[Row] = field(default_factory=deque)
    _window: list[tuple[Row, Features]] = field(default_factory=list)
    _tokens: int = 0
    _rows: deque[tuple[Row, bool]] = field(default_factory=deque)
    """All that is read and not given out, and whether it is equal to one before."""
    _running: list[Future[Encoded]] = field(default_factory=list)
    _known: OrderedDict[Hashable, Row] = field(default_factory=OrderedDict)
    _media: WeakValueDictionary[str | Clip, Medium] = field(default_factory=WeakValueDictionary)
    """Those that are named; a picture in memory has no name and may change, so none is shared."""
    _under_way: set[Medium] = field(default_factory=set)
    _decoded: SimpleQueue[ref[Medium]] = field(default_factory=SimpleQueue)
    _held: int = 0
    _woken: Event = field(default_factory=Event)

    def results(self) -> Iterator[Embedding]:
        """Give each item's result as soon as it is its turn."""
        while not (self._ended and not self._rows):
            self._woken.clear()
            self._take_decoded()
            self._take_encoded()
            while self._read() or self._prepare() or self._run_window():
                pass
            given = False
            while self._rows and self._rows[0][0].done:
                yield self._given(*self._rows.popleft())
                given = True
            if not given and not self._woken.wait(_GLANCE):
                self._look_again()
        self._take_encoded()

    def cancel(self) -> None:
        """Let go of all that has not begun."""
        for batch in self._running:
            batch.cancel()
        for medium in self._under_way:
            medium.promise.cancel()

    # Each step does a little and tells whether it could

    def _read(self) -> bool:
        """Read an item and ask for its media."""
        if (
            self._ended
            or len(self._asked) >= AHEAD
            or len(self._rows) >= UNGIVEN
            or len(self._under_way) > 3 * self.decoders.side_by_side
            or self._held >= self.budget.bytes_ahead
        ):
            return False
        item = next(self.items, None)
        if item is None:
            self._ended = True
            return False
        key = key_of(item)
        known = None if key is None else self._known.get(key)
        row = known or Row(item, [self._medium(part) for part in (*item.images, *item.videos)])
        self._rows.append((row, known is not None))
        if known is None:
            self._asked.append(row)
        if key is not None:
            self._remember(key, row)
        return True

    def _prepare(self) -> bool:
        """Make features of the next item whose media are there."""
        full = self._tokens >= self.budget.window
        if full or not self._asked or not self._asked[0].ready:
            return False
        row = self._asked.popleft()
        pictures = len(row.item.images)
        images, clips = iter(row.media[:pictures]), iter(row.media[pictures:])

        def see(reference: str | Image | Clip) -> Pixels | Seen:
            medium = next(clips if isinstance(reference, Clip) else images)
            return medium.promise.result().pixels

        try:
            features = self.preprocessor(row.item, see)
        except ItemError as error:
            row.result = Embedding(None, error=str(error))
            self._let_go(row)
        else:
            row.note, row.tokens = features.note, len(features.input_ids_L)
            self._window.append((row, features))
            self._tokens += row.tokens
        return True

    def _run_window(self) -> bool:
        """Cut a window that is full, or to which nothing can be added, into batches."""
        # Media that are done but not taken yet still hold up reading: more items will come.
        full = self._tokens >= self.budget.window or not (self._asked or self._under_way)
        busy = len(self._running) * self.budget.batch > self.budget.window * self.seats.count
        if not self._window or not full or busy:
            return False
        window, self._window, self._tokens = self._window, [], 0
        parts = list(batches([len(part.input_ids_L) for _, part in window], self.budget.batch))
        alone = self._ended and len(parts) == 1 and not self._running
        for numbers in parts:
            self._run_batch([window[number] for number in numbers], alone=alone)
        for row, _ in window:
            self._let_go(row)
        return True

    # What they are made of

    def _medium(self, reference: str | Image | Clip) -> Medium:
        name = reference if isinstance(reference, str | Clip) else None
        medium = None if name is None else self._media.get(name)
        if medium is None:
            medium = Medium(self.decoders.ask(reference))
            if name is not None:
                self._media[name] = medium
            self._under_way.add(medium)
            # A promise keeps its callbacks: one that held the medium would keep its pixels too.
            medium.promise.add_done_callback(partial(self._wake, ref(medium)))
        return medium

    def _wake(self, medium: ref[Medium], _: object) -> None:
        """Runs in a thread of the pool's."""
        self._decoded.put(medium)
        self._woken.set()

    def _look_again(self) -> None:
        """A pool whose workers all died may have lost its word that a medium is done."""
        for medium in self._under_way:
            if medium.promise.done():
                self._decoded.put(ref(medium))

    def _take_decoded(self) -> None:
        while not self._decoded.empty():
            medium = self._decoded.get()()
            if medium is None or medium not in self._under_way:
                continue
            self._under_way.discard(medium)
            try:
                decoded = medium.promise.result()
            except ItemError:
                continue
            medium.held = bytes_of(decoded.pixels)
            self._held += medium.held
            self.figures.media += 1
            self.figures.decode_seconds += decoded.seconds

    def _let_go(self, row: Row) -> None:
        for medium in row.media:
            self._under_way.discard(medium)
            self._held -= medium.held
            medium.held = 0
        row.media = ()

    def _remember(self, key: Hashable, row: Row) -> None:
        self._known[key] = row
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _run_batch(self, batch: Sequence[tuple[Row, Features]], *, alone: bool) -> None:
        """Send a batch to the network; one alone needs no thread, so a query is answered sooner."""
        features = [part for _, part in batch]
        future = self.seats.now(features) if alone else self.seats.submit(features)
        future.add_done_callback(lambda _: self._woken.set())
        for place, (row, _) in enumerate(batch):
            row.batch, row.place = future, place
        self._running.append(future)
        lengths = [len(part.input_ids_L) for part in features]
        self.figures.batches += 1
        self.figures.tokens += sum(lengths)
        self.figures.padded += padded_tokens(lengths)

    def _take_encoded(self) -> None:
        for batch in [batch for batch in self._running if batch.done()]:
            self._running.remove(batch)
            if batch.exception() is None:
                self.figures.encode_seconds += batch.result().seconds

    def _given(self, row: Row, again: bool) -> Embedding:
        result = row.settle()
        self.figures.items += 1
        self.figures.repeated += again
        self.figures.failed += result.vector is None
        if again and result.vector is not None:  # each caller may do with its own as it likes
            return replace(result, vector=result.vector.copy())
        return result
