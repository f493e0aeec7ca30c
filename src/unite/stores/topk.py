"""The one exact top-k: it serves search in a library and evaluation alike.

Shapes: Q queries, N gallery rows, D dimensions, K results per query.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

BLOCK = 1 << 24
"""Numbers held at once: 64 MiB of float32."""

SLACK = 1e-5
"""Distance from the cut within which a float32 score is computed again in float64. The float32
product of two unit vectors of width 4096 errs by about 4e-6 (root of the width, times 2^-24)."""


def top_k(
    query_QD: Floats, gallery_ND: Floats, k: int, ids: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Exact nearest neighbours by cosine, best first; equal scores stand in the order of ids.

    A matrix product may round two equal rows differently, depending on where they stand. The rows
    near the cut are therefore scored again one by one in float64, so that the result depends on
    the rows alone and not on their order.

    Args:
        query_QD: Queries of unit length, shape (Q, D).
        gallery_ND: Gallery of unit length, shape (N, D).
        k: Number of results wanted per query.
        ids: Name of each gallery row, length N.

    Returns:
        Row numbers, shape (Q, K), and their cosines, shape (Q, K), where K = min(k, N).

    Raises:
        ValueError: The shapes do not fit together, or k is negative.
    """
    if query_QD.ndim != 2 or gallery_ND.ndim != 2 or query_QD.shape[1] != gallery_ND.shape[1]:
        raise ValueError(f"Shapes {query_QD.shape} and {gallery_ND.shape} do not fit together.")
    if len(ids) != len(gallery_ND) or k < 0:
        raise ValueError(f"{len(ids)} ids for {len(gallery_ND)} rows, k = {k}.")
    width = min(k, len(gallery_ND))
    rows_QK = np.zeros((len(query_QD), width), np.int64)
    scores_QK = np.zeros((len(query_QD), width), np.float64)
    if width == 0:
        return rows_QK, scores_QK
    step = max(1, BLOCK // len(gallery_ND))
    for first in range(0, len(query_QD), step):
        block_BN = query_QD[first : first + step] @ gallery_ND.T
        for offset, rough_N in enumerate(block_BN):
            row = first + offset
            near = near_the_top(rough_N, width)
            best = _ranked(near, rescored(gallery_ND, near, query_QD[row]), width, ids)
            rows_QK[row], scores_QK[row] = zip(*best, strict=True)
    return rows_QK, scores_QK


def near_the_top(score_N: Floats, k: int) -> npt.NDArray[np.int64]:
    """Rows that may belong to the k best once rounding is set aside.

    Args:
        score_N: Cosines in float32, shape (N,).
        k: Number wanted, from 1 to N.
    """
    cut = np.partition(score_N, len(score_N) - k)[len(score_N) - k]
    return np.flatnonzero(score_N >= cut - SLACK)


def rescored(
    gallery_ND: Floats, rows: npt.NDArray[np.int64], query_D: Floats
) -> npt.NDArray[np.float64]:
    """Cosines of these rows in float64, each summed by itself.

    Args:
        gallery_ND: Gallery of unit length, shape (N, D).
        rows: Numbers of the rows wanted, shape (R,).
        query_D: A query of unit length, shape (D,).
    """
    step = max(1, BLOCK // gallery_ND.shape[1])
    query = query_D.astype(np.float64)
    parts = [
        (gallery_ND[rows[first : first + step]] * query).sum(axis=1)
        for first in range(0, len(rows), step)
    ]
    return np.concatenate(parts)


def _ranked(
    rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], k: int, ids: Sequence[str]
) -> list[tuple[int, float]]:
    pairs = zip(rows.tolist(), scores.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], ids[pair[0]]))[:k]
