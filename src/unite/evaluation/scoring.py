"""From vectors to the result of a task.

Shapes: Q queries, C candidates, D dimensions, P candidates that one query is asked of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite.evaluation.metrics import Ranks, hit_at, mean
from unite.evaluation.ranking import (
    Doubles,
    Floats,
    answer_ranks,
    dual_softmax,
    exact_scores,
    places,
    settled,
    top,
)
from unite.evaluation.results import Case, Failure, Result, Score, measure
from unite.evaluation.task import Task
from unite.types import Modality

CASES = 6
"""Queries of a task that are shown among the failures."""

CASE_HITS = 3


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one side; a row of zeros and an error where there is none."""

    rows: Floats
    errors: Sequence[str | None]

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """Where there is a vector."""
        return np.array([error is None for error in self.errors], bool)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One query: ranks of its answers, the best of them, and the first candidates with scores."""

    ranks: Ranks
    hits: list[tuple[int, float]]
    best: tuple[int, float] | None = None


def score_task(
    task: Task, queries: Vectors, candidates: Vectors, *, seed: int = 0, rerank: bool = False
) -> Result:
    """Score one task.

    Args:
        task: The task.
        queries: Its queries' vectors.
        candidates: Its candidates' vectors.
        seed: Of the bootstrap intervals.
        rerank: Whether to score dual-softmax re-ranking as well, where one gallery is asked by
            all queries.
    """
    place_C = places([str(item.id) for item in task.candidates])
    rows = list(_judge(task, queries, candidates, place_C))
    ranks = [row.ranks for row in rows]
    again = None
    if rerank and task.pools is None:
        again_ranks = _reranked(task, queries, candidates, place_C)
        again, _ = measure(again_ranks, task.gallery_size, task.metrics, seed)
    return Result(
        score=_score(task, rows, queries, candidates, seed, again),
        query_ids=[str(item.id) for item in task.queries],
        ranks=ranks,
        hits=[[(str(task.candidates[n].id), s) for n, s in row.hits] for row in rows],
        failures=[*_failures("query", task.queries, queries),
                  *_failures("candidate", task.candidates, candidates)],
        cases=_cases(task, rows),
        query_groups=task.query_groups,
    )  # fmt: skip


def _judge(
    task: Task, queries: Vectors, candidates: Vectors, place_C: npt.NDArray[np.int64]
) -> Iterator[_Judged]:
    alive_Q = queries.alive
    galleries = _scores(task, queries, candidates, place_C)
    for query, (number_P, score_P, at) in enumerate(galleries):
        if not alive_Q[query]:
            yield _Judged(np.full(len(at), np.inf), [])
            continue
        place_P = place_C if task.pools is None else place_C[number_P]
        first = [(int(number_P[n]), float(score_P[n])) for n in top(score_P, place_P)]
        best = min(at, key=lambda n: (-score_P[n], place_P[n]), default=None)
        ranks = answer_ranks(score_P, at, place_P)
        found = None if best is None else (int(number_P[best]), float(score_P[best]))
        yield _Judged(ranks, first, found)


def _scores(
    task: Task, queries: Vectors, candidates: Vectors, place_C: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], Doubles, list[int]]]:
    """Each query's gallery: candidate numbers, scores, and the places of its answers there.

    Minus infinity does not count.
    """
    dead = np.flatnonzero(~candidates.alive)
    everything = np.arange(len(task.candidates))
    if task.pools is None:
        answers = [sorted(positives) for positives in task.positives]
        for query, score_C in enumerate(exact_scores(queries.rows, candidates.rows, answers)):
            score_C[dead] = -np.inf
            score_C[list(task.barred(query))] = -np.inf
            yield everything, score_C, _nearest_of_groups(task, score_C, place_C, answers[query])
        return
    for query, pool in enumerate(task.pools):
        number_P = np.array(pool, np.int64)
        vector_D, row_PD = queries.rows[query], candidates.rows[number_P]
        at = np.flatnonzero(np.isin(number_P, list(task.positives[query]))).tolist()
        score_P = settled(row_PD @ vector_D, vector_D, row_PD, at)
        score_P[np.isin(number_P, dead)] = -np.inf
        yield number_P, score_P, at


def _nearest_of_groups(
    task: Task, score_C: Doubles, place_C: npt.NDArray[np.int64], answers: Sequence[int]
) -> list[int]:
    """Bar all of a group but its nearest, in place; the answers that are left."""
    if not task.candidate_groups:
        return list(answers)
    order_C = np.lexsort((place_C, -score_C))
    _, first_G = np.unique(np.asarray(task.candidate_groups)[order_C], return_index=True)
    nearest_G = order_C[first_G]
    kept_G = score_C[nearest_G]
    score_C[:] = -np.inf
    score_C[nearest_G] = kept_G
    return sorted(set(answers) & set(nearest_G.tolist()))


def _reranked(
    task: Task, queries: Vectors, candidates: Vectors, place_C: npt.NDArray[np.int64]
) -> list[Ranks]:
    alive_Q, alive_C = queries.alive, candidates.alive
    rows = dual_softmax(queries.rows[alive_Q], candidates.rows[alive_C])
    found = []
    for query, answers in enumerate(task.positives):
        score_C = np.full(len(task.candidates), -np.inf)
        if alive_Q[query]:
            score_C[alive_C] = next(rows)
        score_C[list(task.barred(query))] = -np.inf
        left = _nearest_of_groups(task, score_C, place_C, sorted(answers))
        found.append(answer_ranks(score_C, left, place_C))
    return found


def _score(
    task: Task,
    rows: Sequence[_Judged],
    queries: Vectors,
    candidates: Vectors,
    seed: int,
    again: dict[str, float] | None,
) -> Score:
    ranks = [row.ranks for row in rows]
    metrics, intervals = measure(ranks, task.gallery_size, task.metrics, seed, task.query_groups)
    sizes = None if task.pools is None else [len(pool) for pool in task.pools]
    return Score(
        task=task.name,
        split=task.split,
        family=task.family,
        queries=len(task.queries),
        candidates=len(task.candidates) if task.pools is not None else task.gallery_size,
        main_score=task.main_score,
        metrics=metrics,
        intervals=intervals,
        wrong_modality=_wrong_modality(task, rows),
        by_target=_by_target(task, ranks),
        failed_queries=int((~queries.alive).sum()),
        failed_candidates=int((~candidates.alive).sum()),
        reranked=again,
        pools=None if not sizes else (min(sizes), max(sizes)),
    )


def _wrong_modality(task: Task, rows: Sequence[_Judged]) -> float | None:
    """Share of first hits of no answer's modality; a query without any hit is wrong as well."""
    modality_C = [item.modality for item in task.candidates]
    if len(set(modality_C)) < 2 or not rows:
        return None
    wrong = [
        not row.hits or modality_C[row.hits[0][0]] not in {modality_C[n] for n in answers}
        for row, answers in zip(rows, task.positives, strict=True)
    ]
    return float(np.mean(wrong))


def _by_target(task: Task, ranks: Sequence[Ranks]) -> dict[str, float]:
    targets = sorted(set(task.target_modality))
    if len(targets) < 2:
        return {}
    hit_Q, target_Q = hit_at(ranks, 1), np.array([int(target) for target in task.target_modality])
    return {Modality(code).label: mean(hit_Q[target_Q == code]) for code in targets}


def _failures(side: str, items: Sequence[object], vectors: Vectors) -> list[Failure]:
    return [
        Failure(side, str(getattr(item, "id", "")), error)
        for item, error in zip(items, vectors.errors, strict=True)
        if error is not None
    ]


def _cases(task: Task, rows: Sequence[_Judged]) -> list[Case]:
    """The queries whose answer was furthest down, of those that have hits."""
    missed = [
        number for number, row in enumerate(rows) if row.hits and row.best and row.ranks[0] > 1
    ]
    worst = sorted(missed, key=lambda number: (-rows[number].ranks[0], number))[:CASES]
    return [
        Case(
            query=task.queries[number],
            answer=task.candidates[best[0]],
            answer_score=best[1] if np.isfinite(best[1]) else None,
            rank=float(rows[number].ranks[0]),
            hits=[
                (task.candidates[found], score, found in task.positives[number])
                for found, score in rows[number].hits[:CASE_HITS]
            ],
        )
        for number in worst
        if (best := rows[number].best) is not None
    ]
