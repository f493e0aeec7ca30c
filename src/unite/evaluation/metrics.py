"""Retrieval scores as pure functions of ranks.

Shapes: Q queries, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Ranks = npt.NDArray[np.int64]


def first_ranks(score_QC: Scores, positives: Sequence[set[int]]) -> Ranks:
    """Rank of each query's best-placed positive, counted from 1.

    A candidate that scores the same as the positive stands before it if its number is
    smaller, so that a model which tells nothing apart gains nothing.

    Args:
        score_QC: Higher is nearer.
        positives: Candidate numbers that answer each query; several count as one answer.
    """
    ranks = np.empty(len(score_QC), np.int64)
    for query, (score_C, answers) in enumerate(zip(score_QC, positives, strict=True)):
        ranks[query] = min(
            1
            + int((score_C > score_C[answer]).sum())
            + int((score_C[:answer] == score_C[answer]).sum())
            for answer in answers
        )
    return ranks


def recall_at(ranks: Ranks, k: int) -> float:
    """Share of queries whose positive is among the first k; 0 without queries."""
    return float((ranks <= k).mean()) if len(ranks) else 0.0
