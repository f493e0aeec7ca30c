"""Where the answers stand: exact ranks, ties in the order of ids.

A matrix product may round two equal rows differently, depending on where they stand. Scores
near that of an answer are therefore computed again one by one in float64, so that ranks depend
on the vectors and ids alone.

Shapes: Q queries, C candidates, D dimensions, A answers of one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unite.evaluation.metrics import Ranks
from unite.stores.topk import BLOCK, SLACK

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def places(ids: Sequence[str]) -> Places:
    """The place of each candidate in the order of ids, shape (C,)."""
    order_C = sorted(range(len(ids)), key=lambda number: ids[number])
    place_C = np.empty(len(ids), np.int64)
    place_C[order_C] = np.arange(len(ids))
    return place_C


def answer_ranks(score_C: Doubles, answers: Iterable[int], place_C: Places) -> Ranks:
    """Ranks of a query's answers, ascending; infinite for one of no finite score.

    Args:
        score_C: Higher is nearer; minus infinity is not in the gallery.
        answers: Candidate numbers.
        place_C: Order among equal scores, from `places`.
    """
    found = []
    for answer in answers:
        score = score_C[answer]
        if not score > -np.inf:  # nan as well: no comparison holds of it
            found.append(np.inf)
            continue
        before_C = (score_C > score) | ((score_C == score) & (place_C < place_C[answer]))
        found.append(1.0 + float(before_C.sum()))
    return np.sort(np.array(found, np.float64))


TOP = 10
"""Hits of a query that are kept."""


def top(score_C: Doubles, place_C: Places, k: int = TOP) -> list[int]:
    """The numbers of the first k candidates; minus infinity is never among them."""
    finite_C = np.flatnonzero(score_C > -np.inf)
    if len(finite_C) > k:
        cut = np.partition(score_C[finite_C], len(finite_C) - k)[len(finite_C) - k]
        finite_C = finite_C[score_C[finite_C] >= cut]
    order = sorted(finite_C.tolist(), key=lambda number: (-score_C[number], place_C[number]))
    return order[:k]


def exact_scores(
    query_QD: Floats, candidate_CD: Floats, answers: Sequence[Sequence[int]]
) -> Iterator[Doubles]:
    """The scores of each query, exact wherever they could change a rank or a first hit.

    Args:
        query_QD: Queries of unit length.
        candidate_CD: Gallery of unit length.
        answers: Candidate numbers that answer each query.

    Yields:
        Scores of one query, shape (C,), in order of the queries.
    """
    step = max(1, BLOCK // max(1, len(candidate_CD)))
    for first in range(0, len(query_QD), step):
        block_BC = query_QD[first : first + step] @ candidate_CD.T
        for offset, rough_C in enumerate(block_BC):
            row = first + offset
            yield settled(rough_C, query_QD[row], candidate_CD, answers[row])


def settled(
    rough_C: Floats, query_D: Floats, candidate_CD: Floats, answers: Sequence[int]
) -> Doubles:
    """Scores of one query; those near an answer's or among the first, again in float64."""
    cut = np.partition(rough_C, -TOP)[-TOP] if len(rough_C) > TOP else -np.inf
    score_C = rough_C.astype(np.float64)
    near_C = score_C >= cut - SLACK
    for answer in answers:
        near_C |= np.abs(score_C - score_C[answer]) <= SLACK
    numbers = np.flatnonzero(near_C)
    query = query_D.astype(np.float64)
    score_C[numbers] = (candidate_CD[numbers] * query).sum(axis=1)
    return score_C


DUAL_TEMPERATURE = 100.0


def dual_softmax(
    query_QD: Floats, candidate_CD: Floats, temperature: float = DUAL_TEMPERATURE
) -> Iterator[Doubles]:
    """Cosines weighted by how much each candidate prefers the query among all queries.

    Cheng et al. 2021 (arXiv 2109.04290), applied at inference. It needs all
    queries of a test at once, which no search has: a re-ranking, never a headline. A block of
    queries at a time, twice: once for each candidate's sum.

    Args:
        query_QD: Queries of unit length.
        candidate_CD: Gallery of unit length.
        temperature: What cosines are multiplied by in the softmax.

    Yields:
        Scores of one query, shape (C,), in order of the queries.
    """
    query_QD, candidate_CD = query_QD.astype(np.float64), candidate_CD.astype(np.float64)
    step = max(1, BLOCK // max(1, len(candidate_CD)))
    blocks = range(0, len(query_QD), step)
    most_C, sum_C = np.full(len(candidate_CD), -np.inf), np.zeros(len(candidate_CD))
    for first in blocks:
        scaled_BC = query_QD[first : first + step] @ candidate_CD.T * temperature
        higher_C = np.maximum(most_C, scaled_BC.max(axis=0))
        sum_C = sum_C * np.exp(most_C - higher_C) + np.exp(scaled_BC - higher_C).sum(axis=0)
        most_C = higher_C
    for first in blocks:
        score_BC = query_QD[first : first + step] @ candidate_CD.T
        yield from score_BC * np.exp(score_BC * temperature - most_C) / sum_C
