"""How sure a score is, and whether two runs differ: resampling of queries, with a seed.

Queries about one medium, such as the five captions of a picture, are no independent evidence: they
are drawn, or their signs flipped, together.

Shapes: Q queries, G groups of queries, N groups on which two runs differ, B resamples at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite.evaluation.metrics import Values, mean

LEVEL = 0.95
DRAWS = 1000
_NUMBERS = 1 << 22
"""Numbers that are drawn at once; a few arrays of so many are held."""


def interval(
    value_Q: Values,
    *,
    groups: Sequence[int] = (),
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over queries (Efron 1979), by groups of queries.

    Args:
        value_Q: A value for each query.
        groups: A number for each query, equal for those that are drawn together; empty: none are.
        seed: Of the resampling.
        draws: Number of resamples.
        level: Share of resamples within the interval.

    Returns:
        The lower and the upper end; the mean twice where there are no queries.
    """
    if len(value_Q) == 0:
        return 0.0, 0.0
    sum_G, size_G = _grouped(value_Q, groups)
    count = len(sum_G)
    rng = np.random.default_rng(seed)
    means = []
    for size in _blocks(draws, count):
        drawn_BG = rng.integers(0, count, (size, count))
        means.append(sum_G[drawn_BG].sum(axis=1) / size_G[drawn_BG].sum(axis=1))
    edges = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(edges[0]), float(edges[1])


@dataclass(frozen=True, slots=True)
class Difference:
    """What separates two runs on the same queries.

    Attributes:
        mean: Mean of the second less that of the first.
        low: Lower end of its paired bootstrap interval.
        high: Upper end.
        p: Two-sided p-value of the paired permutation test.
        queries: Number of queries.
    """

    mean: float
    low: float
    high: float
    p: float
    queries: int


def paired_difference(
    first_Q: Values,
    second_Q: Values,
    *,
    groups: Sequence[int] = (),
    seed: int = 0,
    draws: int = 10_000,
) -> Difference:
    """Compare two runs query by query.

    The p-value is of a paired permutation test: under the hypothesis that the runs are alike the
    sign of each query's difference is a coin's (Fisher; Smucker et al. 2007 recommend it for
    retrieval). One is added to both counts, so that p is never 0. The interval is a paired
    bootstrap of the differences.

    Args:
        first_Q: A value for each query in the first run.
        second_Q: The same queries in the second.
        groups: A number for each query, equal for those that share a sign; empty: none do.
        seed: Of signs and resamples.
        draws: Number of permutations.

    Raises:
        ValueError: The runs have not the same number of queries.
    """
    if first_Q.shape != second_Q.shape:
        raise ValueError(f"{first_Q.shape} and {second_Q.shape} are not the same queries.")
    change_Q = second_Q - first_Q
    change_G, _ = _grouped(change_Q, groups)
    changed_N = change_G[change_G != 0]
    observed = abs(float(changed_N.sum()))
    rng = np.random.default_rng(seed)
    extreme = 0
    for size in _blocks(draws, len(changed_N)):
        sign_BN = rng.integers(0, 2, (size, len(changed_N)), np.int8) * 2 - 1
        extreme += int((np.abs(sign_BN @ changed_N) >= observed - 1e-9).sum())
    low, high = interval(change_Q, groups=groups, seed=seed)
    return Difference(mean(change_Q), low, high, (extreme + 1) / (draws + 1), len(change_Q))


def corrected(p_values: Sequence[float]) -> list[float]:
    """Holm's p-values (1979) of several tests, in their order, however the tests depend.

    If no run differs from the other anywhere, the least of them falls below 0.05 in at most 5 %
    of comparisons.
    """
    count, largest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, test in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * p_values[test]))
        adjusted[test] = largest
    return adjusted


def _grouped(value_Q: Values, groups: Sequence[int]) -> tuple[Values, npt.NDArray[np.int64]]:
    """The sum of each group's values, and how many they are."""
    if not len(groups):
        return value_Q, np.ones(len(value_Q), np.int64)
    _, number_Q = np.unique(np.asarray(groups), return_inverse=True)
    sum_G: Values = np.bincount(number_Q, value_Q).astype(np.float64)
    return sum_G, np.bincount(number_Q).astype(np.int64)


def _blocks(draws: int, width: int) -> Iterator[int]:
    """Split a number of draws so that a block holds a bounded count of numbers."""
    step = max(1, _NUMBERS // max(1, width))
    for first in range(0, draws, step):
        yield min(step, draws - first)
