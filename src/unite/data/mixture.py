"""Which rows every global batch holds: counts by weight, planned before training begins.

The rows of all sources form a tree: by source, or by target modality and source, and by pair of
modalities where those have weights. Each node deals its turns out to its branches by their shares;
each leaf gives its rows in shuffled rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from unite.errors import DataError
from unite.types import Modality

Rows = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.uint8]
Batches = Literal["mixed", "single-modality", "single-source", "alternating"]
_QUERY = 8
"""A kind is the query's modality code times this, plus the target's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of a whole run.

    Attributes:
        rows: Row numbers over the concatenated sources, (steps, batch).
        sources: Examples drawn from each source.
        modality_pairs: Examples of each pair of modalities, the most frequent first.
    """

    rows: Rows
    sources: dict[str, int]
    modality_pairs: dict[str, int]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Rows that are drawn alike."""

    target: int
    source: int
    kind: int
    weight: float
    rows: Rows


def plan_batches(
    sizes: Mapping[str, int],
    kind_N: Kinds,
    *,
    batch_size: int,
    steps: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
    modality_weights: Mapping[str, float] | None = None,
    batches: Batches = "mixed",
    g_min: int = 0,
) -> Plan:
    """Draw every batch of a run, as near to the weights as whole numbers allow.

    Counts are exact to one example from the start to any batch of the run, but for what a
    quota carries over. Rows that are drawn alike come in shuffled rounds: none repeats before all
    have been seen.

    Args:
        sizes: Rows in each source, in the order in which they are concatenated.
        kind_N: The kind of each row: see `kind_of`.
        batch_size: Rows of a global batch.
        steps: Global batches.
        seed: Equal seeds give equal plans, on every process.
        weights: Share of each source, in any unit; None, or zeros alone: of the others by size.
        modality_weights: What the share of a pair of modalities, such as `text→image`, is
            multiplied with; 1 for those that are not named.
        batches: `mixed`; or all rows of a batch of one target modality, or of one source; or
            `alternating`: by turns mixed and of one target modality.
        g_min: In mixed batches, the fewest rows of a target modality that come; fewer are
            carried over until they are enough (paper: a row alone in its modality learns nothing).

    Raises:
        DataError: A source is empty, no weight is positive, or a modality has no rows.
    """
    leaves = _leaves(sizes, kind_N, weights, modality_weights)
    rng = np.random.default_rng(seed)
    rows = np.empty((steps, batch_size), dtype=np.int64)
    top = _top(leaves, batches, g_min, by_kind=bool(modality_weights), rng=rng)
    for step in range(steps):
        rows[step] = np.sort(top(batch_size))
    ends = np.cumsum(list(sizes.values()))
    source = np.bincount(np.searchsorted(ends, rows.ravel(), side="right"), minlength=len(sizes))
    kinds = Counter(dict(enumerate(np.bincount(kind_N[rows.ravel()]).tolist())))
    return Plan(
        rows,
        dict(zip(sizes, source.tolist(), strict=True)),
        {kind_label(kind): count for kind, count in kinds.most_common() if count},
    )


def spare_rows(plan: Plan, kind_N: Kinds, sizes: Mapping[str, int], step: int, row: int) -> Rows:
    """What may stand in for a row of a batch: the plan's next ones of its source and kind.

    The second such row of a batch begins with the second of them, and so on, so that processes
    which replace different rows seldom take the same. After the plan's end its beginning follows;
    rows of the same batch are not among them.
    """
    ends = np.cumsum(list(sizes.values()))
    source = int(np.searchsorted(ends, row, side="right"))
    coming = np.concatenate([plan.rows[step + 1 :].ravel(), plan.rows[:step].ravel()])
    alike = (np.searchsorted(ends, coming, side="right") == source) & (
        kind_N[coming] == kind_N[row]
    )
    found = coming[alike & ~np.isin(coming, plan.rows[step])]
    _, first = np.unique(found, return_index=True)
    spares: Rows = found[np.sort(first)]
    batch = plan.rows[step]
    before = batch[: int(np.argmax(batch == row))]
    own = (np.searchsorted(ends, before, side="right") == source) & (kind_N[before] == kind_N[row])
    return np.roll(spares, -int(own.sum()))


def kind_of(query: Modality, target: Modality) -> int:
    """A pair of modalities as one number below 64."""
    return int(query) * _QUERY + int(target)


def kind_label(kind: int) -> str:
    """Its name: `text→image`."""
    return f"{Modality(kind // _QUERY).label}→{Modality(kind % _QUERY).label}"


def parse_kind(label: str) -> int:
    """Read `text→image` or `text->image`.

    Raises:
        DataError: It names no pair of modalities.
    """
    query, arrow, target = label.replace("->", "→").partition("→")
    if not arrow:
        raise DataError(f"{label!r} is no pair of modalities.", "Write it as text→image.")
    return kind_of(Modality.parse(query), Modality.parse(target))


def count_drawn(kind_N: Kinds, modality_weights: Mapping[str, float]) -> int:
    """How many rows may be drawn: all but those of pairs of modalities whose weight is zero."""
    never = [parse_kind(label) for label, by in modality_weights.items() if not by]
    return int((~np.isin(kind_N, never)).sum())


def _leaves(
    sizes: Mapping[str, int],
    kind_N: Kinds,
    weights: Mapping[str, float] | None,
    modality_weights: Mapping[str, float] | None,
) -> list[Leaf]:
    given = weights or {}
    by_size = not any(given.values())
    shares = {name: given.get(name, size if by_size else 1.0) for name, size in sizes.items()}
    # By size an empty source's share is zero too, but nobody has asked for that.
    asked = [name for name in sizes if given.get(name, 1.0) > 0]
    empty = [name for name in asked if not sizes[name]]
    if empty or sum(shares.values()) <= 0 or min(shares.values()) < 0:
        raise DataError(
            f"The sources cannot be mixed: empty {empty}, weights {shares}.",
            "Give every source rows and a weight that is not negative.",
        )
    factors = {parse_kind(label): by for label, by in (modality_weights or {}).items()}
    absent = sorted(set(factors) - set(np.unique(kind_N).tolist()))
    if absent or min(factors.values(), default=0) < 0:
        raise DataError(
            f"The modality weights cannot hold: {dict(modality_weights or {})}.",
            f"None is negative, and there are rows of each; "
            f"found: {', '.join(kind_label(kind) for kind in np.unique(kind_N).tolist())}.",
        )
    leaves, start = [], 0
    for number, (name, size) in enumerate(sizes.items()):
        kinds = kind_N[start : start + size]
        for kind in np.unique(kinds).tolist():
            rows = start + np.flatnonzero(kinds == kind)
            weight = shares[name] * len(rows) / size * factors.get(kind, 1.0)
            if weight > 0:
                leaves.append(Leaf(kind % _QUERY, number, kind, weight, rows))
        start += size
    return leaves


Draw = Callable[[int], Rows]
"""Gives so many rows, the next ones each time."""


def _top(
    leaves: Sequence[Leaf],
    batches: Batches,
    g_min: int,
    *,
    by_kind: bool,
    rng: np.random.Generator,
) -> Draw:
    """How a whole batch is drawn."""
    levels: list[Callable[[Leaf], int]] = [lambda leaf: leaf.source]
    if by_kind:
        levels.append(lambda leaf: leaf.kind)
    if batches in ("single-modality", "alternating") or (batches == "mixed" and g_min > 1):
        levels.insert(0, lambda leaf: leaf.target)
    if batches == "mixed" and g_min <= 1:
        return _mixed(leaves, levels, rng)
    first, *deeper = levels
    parts = _parts(leaves, first)
    branches = [_mixed(part, deeper, rng) for part in parts]
    if batches == "mixed":
        quotas = _Quotas(_shares(parts), g_min)
        return lambda count: _join(branches, quotas.take(count))
    turns = Turns(_shares(parts))
    if batches == "alternating":
        every, mixed = Turns(_shares(parts)), cycle((True, False))
        return lambda count: _join(
            branches, every.take(count) if next(mixed) else turns.take(1) * count
        )
    return lambda count: _join(branches, turns.take(1) * count)


def _mixed(
    leaves: Sequence[Leaf], levels: Sequence[Callable[[Leaf], int]], rng: np.random.Generator
) -> Draw:
    if not levels:
        return _rounds(np.concatenate([leaf.rows for leaf in leaves]), rng)
    parts = _parts(leaves, levels[0])
    branches = [_mixed(part, levels[1:], rng) for part in parts]
    turns = Turns(_shares(parts))
    return lambda count: _join(branches, turns.take(count))


def _parts(leaves: Sequence[Leaf], key: Callable[[Leaf], int]) -> list[list[Leaf]]:
    return [list(part) for _, part in groupby(sorted(leaves, key=key), key)]


def _shares(parts: Sequence[Sequence[Leaf]]) -> list[float]:
    return [sum(leaf.weight for leaf in part) for part in parts]


def _join(branches: Sequence[Draw], counts: Rows) -> Rows:
    drawn = [draw(int(count)) for draw, count in zip(branches, counts, strict=True) if count]
    return np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)


def _rounds(rows: Rows, rng: np.random.Generator) -> Draw:
    """Rows reshuffled for every round, by a generator of their own."""
    rng = rng.spawn(1)[0]
    left = np.empty(0, dtype=np.int64)

    def draw(count: int) -> Rows:
        nonlocal left
        while len(left) < count:
            left = np.concatenate([left, rng.permutation(rows)])
        drawn, left = left[:count], left[count:]
        return drawn

    return draw


class Turns:
    """Deals turns out by shares, so that no count is ever a whole turn off.

    Of those that may have one more (their count is below their ideal one), the next is taken whose
    next turn is due first: earliest deadline first, as in the quota method of Balinski and Young.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._share = np.array(shares, dtype=np.float64) / sum(shares)
        self._given = np.zeros(len(shares), dtype=np.int64)

    def take(self, count: int) -> Rows:
        """How many of the next turns each gets."""
        total = int(self._given.sum()) + count
        ideal = self._share * total
        counts = np.maximum(self._given, np.floor(ideal + 1e-9).astype(np.int64))
        may = np.flatnonzero(counts < ideal - 1e-9)
        due = (counts[may] + 1) / self._share[may]
        more = total - int(counts.sum())
        counts[may[np.argsort(due, kind="stable")[:more]]] += 1
        taken = counts - self._given
        self._given = counts
        return taken


class _Quotas:
    """Deals out by shares, but none gets fewer than a least number at a time: it waits instead."""

    def __init__(self, shares: Sequence[float], least: int) -> None:
        self._share = np.array(shares, dtype=np.float64) / sum(shares)
        self._given = np.zeros(len(shares), dtype=np.int64)
        self._least = least

    def take(self, count: int) -> Rows:
        due = self._share * (self._given.sum() + count) - self._given
        admitted = due >= self._least
        if not admitted.any():
            admitted[np.argmax(due)] = True
        while True:
            wanted = np.where(admitted, due, 0.0)
            wanted *= count / wanted.sum()
            few = admitted & (wanted < self._least)
            if not few.any() or admitted.sum() == 1:
                break
            admitted[np.flatnonzero(few)[np.argmin(wanted[few])]] = False
        counts = np.floor(wanted + 1e-9).astype(np.int64)
        order = np.argsort(counts - wanted, kind="stable")
        counts[order[: count - int(counts.sum())]] += 1
        self._given += counts
        return counts
