"""The best of a gallery that score no higher than a limit, exactly.

A float32 product rounds a row by where it stands. What lies near a cut is therefore scored again
by `top_k`, in float64: the result depends on the rows alone and not on their order.

Shapes: E gallery rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unite.stores.topk import SLACK, top_k
from unite.types import Vector

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def hardest(
    query_D: Vector,
    rough_E: Floats,
    gallery_ED: Floats,
    ids: Sequence[str],
    limit: float,
    *,
    k: int,
    skip: int = 0,
) -> tuple[Rows, Scores, int]:
    """The k best of a gallery within a limit, exactly; equal scores stand in the order of ids.

    Args:
        query_D: The query.
        rough_E: Its scores as a float32 product gives them, -inf for what may not be found.
        gallery_ED: What is ranked.
        ids: Name of each row.
        limit: The highest score that is taken.
        k: Number of rows wanted.
        skip: The highest ranks that are passed over, whatever they score.

    Returns:
        Rows, their scores in float64, and how many the limit refused.
    """
    rough_E = rough_E.copy()
    if skip:
        top, _ = _exact(query_D, _near(rough_E, skip), gallery_ED, ids)
        rough_E[top[:skip]] = -np.inf
    above_E = rough_E > limit + SLACK
    rough_E[above_E] = -np.inf
    # What float32 cannot tell from the limit is scored again, and must not crowd out the rest.
    doubtful = int(np.count_nonzero(rough_E > limit - SLACK))
    rows, scores = _exact(query_D, _near(rough_E, k + doubtful), gallery_ED, ids)
    within = scores <= limit
    refused = int(np.count_nonzero(above_E)) + int(np.count_nonzero(~within))
    return rows[within][:k], scores[within][:k], refused


def _near(rough_E: Floats, count: int) -> Rows:
    """Rows that may be among the best so many once rounding is set aside."""
    cut = -np.inf
    if 0 < count < len(rough_E):
        cut = np.partition(rough_E, len(rough_E) - count)[len(rough_E) - count] - SLACK
    return np.flatnonzero((rough_E >= cut) & (rough_E > -np.inf))


def _exact(
    query_D: Vector, rows: Rows, gallery_ED: Floats, ids: Sequence[str]
) -> tuple[Rows, Scores]:
    """The same rows, best first, with their scores in float64."""
    order_1E, score_1E = top_k(
        query_D[None], gallery_ED[rows], len(rows), [ids[row] for row in rows.tolist()]
    )
    return rows[order_1E[0]], score_1E[0]


def cosine(query_D: Vector, other_D: Vector) -> float:
    """As `top_k` computes it: a copy of the positive must not score above the positive."""
    return float(top_k(query_D[None], other_D[None], 1, [""])[1][0, 0])
