"""Which rows every global batch holds: counts by weight, planned before training begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
) -> Plan:
    """Draw mixed batches, each as near to the weights as whole numbers allow.

    Remainders carry over, so that counts over the run are exact to one example. Within a
    source rows come in shuffled rounds: none repeats before all have been seen.

    Args:
        sizes: Rows in each source, in the order in which they are concatenated.
        weights: Share of each source, in any unit.
        batch_size: Rows of a global batch.
        steps: Global batches.
        seed: Equal seeds give equal plans, on every process.

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
    rng = np.random.default_rng(seed)
    share = {name: weights[name] / total * batch_size for name in sizes}
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()][:-1]).tolist(), strict=True))
    streams = {
        name: _rounds(offsets[name], size, np.random.default_rng((seed, number)))
        for number, (name, size) in enumerate(sizes.items())
    }
    drawn = dict.fromkeys(sizes, 0)
    batches = []
    for step in range(1, steps + 1):
        counts = _whole({name: share[name] * step - drawn[name] for name in sizes}, batch_size)
        batch = [next(streams[name]) for name, count in counts.items() for _ in range(count)]
        for name, count in counts.items():
            drawn[name] += count
        batches.append(rng.permutation(np.array(batch, dtype=np.int64)))
    return Plan(np.concatenate(batches) if batches else np.empty(0, np.int64), drawn)


def _whole(wanted: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that sum to the total, nearest to what is wanted (largest remainder)."""
    floors = {name: max(0, int(value)) for name, value in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: (floors[name] - wanted[name], name))
    short = total - sum(floors.values())
    for name in by_remainder[: max(0, short)]:
        floors[name] += 1
    for name in reversed(by_remainder):
        while short < 0 and floors[name]:
            floors[name] -= 1
            short += 1
    return floors


def _rounds(offset: int, size: int, rng: np.random.Generator) -> Iterator[int]:
    """Row numbers of one source, reshuffled for every round."""
    while True:
        yield from (offset + rng.permutation(size)).tolist()
