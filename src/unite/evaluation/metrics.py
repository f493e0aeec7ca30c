"""Retrieval scores as pure functions of ranks.

A query has one or several right answers, and an answer has a rank, counted from 1; infinity is
an answer that was never found, because it or its query could not be embedded. Functions of
queries return a value for each of them, so that intervals and paired tests can resample them;
a score is the mean of such values.

Shapes: Q queries; A answers of one query, ascending.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.float64]
"""Ranks of the answers of one query, ascending: shape (A,)."""

Values = npt.NDArray[np.float64]
"""One number a query: shape (Q,)."""


def first_ranks(ranks: Sequence[Ranks]) -> Values:
    """Rank of each query's best-placed answer; infinite where there is none."""
    return np.array([rank_A[0] if len(rank_A) else np.inf for rank_A in ranks], np.float64)


def hit_at(ranks: Sequence[Ranks], k: int) -> Values:
    """1 where an answer is among the first k, else 0; the mean is R@k.

    This is the R@k of image and video retrieval: with several answers one of them is enough.
    With k = 1 it is Precision@1 as well.
    """
    return np.asarray(first_ranks(ranks) <= k, np.float64)


def precision_at(ranks: Sequence[Ranks], k: int) -> Values:
    """Share of answers among the first k."""
    return np.array([float((rank_A <= k).sum()) / k for rank_A in ranks], np.float64)


def reciprocal_rank(ranks: Sequence[Ranks]) -> Values:
    """One over the rank of the first answer, 0 if none was found; the mean is MRR."""
    return 1.0 / first_ranks(ranks)


def ndcg_at(ranks: Sequence[Ranks], k: int) -> Values:
    """Discounted gain of the first k over that of the best order; all answers gain 1."""
    return np.array([_ndcg(rank_A, k) for rank_A in ranks], np.float64)


def _ndcg(rank_A: Ranks, k: int) -> float:
    best_K = np.arange(1, min(len(rank_A), k) + 1)
    ideal = float((1.0 / np.log2(1.0 + best_K)).sum())
    found_K = rank_A[rank_A <= k]
    return float((1.0 / np.log2(1.0 + found_K)).sum()) / ideal if ideal else 0.0


def average_precision(ranks: Sequence[Ranks]) -> Values:
    """Mean, over a query's answers, of the precision at the rank of each; its mean is mAP."""
    return np.array([_average_precision(rank_A) for rank_A in ranks], np.float64)


def _average_precision(rank_A: Ranks) -> float:
    return float((np.arange(1, len(rank_A) + 1) / rank_A).mean()) if len(rank_A) else 0.0


def median_rank(first_Q: Values, last: int) -> float:
    """Median of the first ranks; what was never found stands one behind the last candidate."""
    return float(np.median(np.minimum(first_Q, last + 1))) if len(first_Q) else 0.0


def mean_rank(first_Q: Values, last: int) -> float:
    """Mean of the first ranks; what was never found stands one behind the last candidate."""
    return float(np.minimum(first_Q, last + 1).mean()) if len(first_Q) else 0.0


def mean(value_Q: Values) -> float:
    """A score from its queries' values; 0 without queries."""
    return float(value_Q.mean()) if len(value_Q) else 0.0
