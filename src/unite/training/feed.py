"""The prepared chunks of every step, each decoded just before it is needed.

A plan says which rows a global batch holds. Its pairs are dealt out to processes and cut into
chunks by what they cost; the media of the next chunk are decoded by workers while the network
works on this one. A pair that cannot be read is reported, and the plan's next one of its source
and kind takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
import torch

from unite.data.mixture import Kinds, Plan, spare_rows
from unite.data.sampler import Costs as CostsN
from unite.data.sampler import chunk, share_out
from unite.errors import DataError, ItemError
from unite.loss.gather import gather_rows, rank, world_size
from unite.media.pool import WorkerPool
from unite.model.cost import Costs
from unite.model.preprocess import Pixels, Seen, media_of
from unite.training.batches import PairCollator, Side
from unite.training.ledger import Ledger
from unite.types import Clip, Pair

Reference = str | Clip
Sight = Pixels | Seen
Rows = tuple[int, ...]


class Promise(Protocol):
    """A medium's pixels, sooner or later."""

    def result(self) -> Sight:
        """Wait for them.

        Raises:
            ItemError: There are none.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Later:
    """Decodes in this process when it is asked."""

    see: Callable[[Reference], Sight]
    reference: Reference

    def result(self) -> Sight:
        return self.see(self.reference)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A prepared chunk: its features, and the rows that are really in it."""

    features: dict[str, Any]
    rows: Rows


@dataclass(frozen=True, slots=True)
class Asked:
    """A chunk whose media are being decoded.

    Attributes:
        step: Its step.
        rows: The rows of its pairs.
        pairs: The pairs.
        media: The promise of each medium.
    """

    step: int
    rows: Rows
    pairs: tuple[Pair, ...]
    media: Mapping[Reference, Promise]


class Feed:
    """Gives each step's chunks. A context manager, as it may hold workers.

    Args:
        plan: The rows of every global batch.
        pairs: All pairs.
        kind_N: The kind of each row.
        sizes: Rows of each source.
        collator: Makes features of pairs.
        costs: Guesses tokens of pairs.
        ledger: Takes down bad samples.
        see: Gives the pixels of a medium; runs in the workers if there are any, pickled.
        chunk_tokens: Tokens of a chunk; None: each process has one chunk.
        workers: Processes that decode; 0: this one does.
        seconds: The longest that a medium may take a worker.
        device: Where costs are exchanged between processes.
    """

    def __init__(
        self,
        plan: Plan,
        pairs: Sequence[Pair],
        kind_N: Kinds,
        sizes: Mapping[str, int],
        collator: PairCollator,
        costs: Costs,
        ledger: Ledger,
        see: Callable[[Reference], Sight],
        *,
        chunk_tokens: int | None = None,
        workers: int = 0,
        seconds: float = 120.0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.plan, self.pairs, self.kind_N, self.sizes = plan, pairs, kind_N, sizes
        self.collator, self.costs, self.ledger = collator, costs, ledger
        self.chunk_tokens, self.device = chunk_tokens, device
        self._see = see
        self._pool: WorkerPool[Reference, Sight] | None = None
        if workers:
            self._pool = WorkerPool(see, workers=workers, seconds=seconds)
        self._chunks: dict[int, list[Rows]] = {}
        self._first: dict[int, Asked] = {}
        self._used: tuple[int, set[int]] = (-1, set())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()

    def chunks(self, step: int) -> list[Rows]:
        """The rows of each of this process's chunks; all processes must ask, in the same order."""
        if step not in self._chunks:
            self._chunks = {step: self._cut(step)}
        return self._chunks[step]

    def prepare(self, step: int) -> None:
        """Begin with a coming step's first chunk; all processes must ask, in the same order."""
        if step < len(self.plan.rows):
            rows = self.chunks(step)[0]
            if self._pool is not None:
                self._first = {step: self._ask(step, rows)}

    def load(self, step: int, chunks: Sequence[Rows], *, again: bool = False) -> Iterator[Loaded]:
        """Give chunks in order; the next one is under way.

        Args:
            step: Their step.
            chunks: Rows of each.
            again: They have been counted before.

        Raises:
            DataError: Too many samples are bad, or one is that was not before.
        """
        asked = self._first.pop(step, None)
        for number, rows in enumerate(chunks):
            now = asked if asked is not None and asked.rows == rows else self._ask(step, rows)
            more = number + 1 < len(chunks)
            asked = self._ask(step, chunks[number + 1]) if more else None
            loaded = self._take(now)
            if again and loaded.rows != rows:  # the gradients that wait are those of the rows lost
                raise DataError(
                    f"A sample of step {step} could be read at first and cannot now "
                    f"(see {self.ledger.path}).",
                    "Is the disk failing, or run.decode_seconds too short? Then --resume.",
                )
            self.ledger.saw(0 if again else len(rows))
            yield loaded

    def _cut(self, step: int) -> list[Rows]:
        rows_N = self.plan.rows[step]
        if world_size() == 1 and self.chunk_tokens is None:
            return [tuple(rows_N.tolist())]
        cost_N = self._costs(rows_N)
        own_A = share_out(cost_N, world_size())[rank()]
        chunks = chunk(cost_N[own_A], self.chunk_tokens)
        return [tuple(rows_N[own_A[places]].tolist()) for places in chunks]

    def _costs(self, rows_N: CostsN) -> CostsN:
        """Of all pairs of a batch: each process looks at its part of the files."""
        parts = np.array_split(rows_N, world_size())
        own = parts[rank()].tolist()
        hard = self.collator.hard_negatives
        found = [max(1, self.costs.pair(self.pairs[row], hard_negatives=hard)) for row in own]
        everyone, _ = gather_rows(torch.tensor(found, dtype=torch.long, device=self.device))
        return np.asarray(everyone.cpu().numpy())

    def _ask(self, step: int, rows: Rows) -> Asked:
        pairs = tuple(self.pairs[row] for row in rows)
        media = dict.fromkeys(
            media_of(item for pair in pairs for item in self.collator.items(pair))
        )
        promises = {reference: self._promise(reference) for reference in media}
        return Asked(step, rows, pairs, promises)

    def _promise(self, reference: Reference) -> Promise:
        if self._pool is None:
            return _Later(self._see, reference)
        return self._pool.submit(reference)

    def _take(self, asked: Asked) -> Loaded:
        @cache  # a medium that occurs twice in a chunk is computed once
        def see(reference: Reference) -> Sight:
            promise = asked.media.get(reference)
            return (promise or self._promise(reference)).result()

        rows, sides = [], []
        for row, pair in zip(asked.rows, asked.pairs, strict=True):
            try:
                sides.append(self.collator.sides(pair, see))
                rows.append(row)
            except ItemError as error:
                row, spare = self._spare(asked.step, row, error, see)
                sides.append(spare)
                rows.append(row)
        return Loaded(self.collator(sides), tuple(rows))

    def _spare(
        self, step: int, row: int, error: ItemError, see: Callable[[Any], Sight]
    ) -> tuple[int, list[Side]]:
        """The plan's next row of the same kind that can be read, and its sides."""
        if self._used[0] != step:
            self._used = (step, set())
        faults, used = {row: error}, self._used[1]
        for spare in spare_rows(self.plan, self.kind_N, self.sizes, step, row).tolist():
            if spare in used:
                continue
            used.add(spare)
            try:
                sides = self.collator.sides(self.pairs[spare], see)
            except ItemError as fault:
                faults[spare] = fault
                continue
            for bad, reason in faults.items():
                self.ledger.report(step, bad, self._source(bad), reason, spare)
            return spare, sides
        raise DataError(
            f"Row {row} of {self._source(row)!r} cannot be read, and none of its kind: {error}",
            "Mend the data: `unite data check` finds all that is broken.",
        )

    def _source(self, row: int) -> str:
        ends = np.cumsum(list(self.sizes.values()))
        return list(self.sizes)[int(np.searchsorted(ends, row, side="right"))]
