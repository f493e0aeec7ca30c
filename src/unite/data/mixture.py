"""Which rows every global batch holds: counts by weight, planned before training begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite.errors import DataError

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of a whole run.

    Attributes:
        rows: Row numbers over the concatenated sources, batch after batch.
        counts: Examples drawn from each source.
    """

    rows: Rows
    counts: dict[str, int]


def plan_rows(
    sizes: Mapping[str, int],
    weights: Mapping[str, float],
    *,
    batch_size: int,
    steps: int,
    seed: int,
    processes: int = 1,
) -> Plan:
    """Draw mixed batches, each as near to the weights as whole numbers allow.

    Counts are exact to one example from the start to any point of the run. Within a
    source rows come in shuffled rounds: none repeats before all have been seen.

    Args:
        sizes: Rows in each source, in the order in which they are concatenated.
        weights: Share of each source, in any unit.
        batch_size: Rows of a global batch.
        steps: Global batches.
        seed: Equal seeds give equal plans, on every process.
        processes: How many share a batch; each gets as much of every source.

    Raises:
        DataError: A source is empty, or no weight is positive.
    """
    empty = [name for name, size in sizes.items() if not size and weights[name] > 0]
    total = sum(weights[name] for name in sizes)
    if empty or total <= 0 or min(weights[name] for name in sizes) < 0:
        raise DataError(
            f"The sources cannot be mixed: empty {empty}, weights {dict(weights)}.",
            "Give every source rows and a weight that is not negative.",
        )
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()][:-1]).tolist(), strict=True))
    streams = {
        name: _rounds(offsets[name], size, np.random.default_rng((seed, number)))
        for number, (name, size) in enumerate(sizes.items())
    }
    names = list(sizes)
    turns = _turns([weights[name] / total for name in names], steps * batch_size)
    rows = np.array([next(streams[names[turn]]) for turn in turns], dtype=np.int64)
    # A process gets a run of neighbours of each batch. Dealing out the sources in turn gives all
    # processes equal work; the loss does not see the order.
    batches = np.sort(rows.reshape(steps, batch_size), axis=1)
    rows = np.concatenate([batches[:, rank::processes] for rank in range(processes)], axis=1)
    counts = {name: turns.count(number) for number, name in enumerate(names)}
    return Plan(rows.reshape(-1), counts)


def _turns(shares: Sequence[float], count: int) -> list[int]:
    """Which source each example comes from, so that no count is ever a whole example off.

    The next example is taken from the source whose next one is due first, among those that
    have not yet had their share (the quota method of Balinski and Young).
    """
    drawn = [0] * len(shares)
    turns = []
    for slot in range(1, count + 1):
        due = [
            ((drawn[number] + 1) / share, number)
            for number, share in enumerate(shares)
            if share > 0 and drawn[number] < share * slot
        ]
        turn = min(due)[1]
        drawn[turn] += 1
        turns.append(turn)
    return turns


def _rounds(offset: int, size: int, rng: np.random.Generator) -> Iterator[int]:
    """Row numbers of one source, reshuffled for every round."""
    while True:
        yield from (offset + rng.permutation(size)).tolist()
