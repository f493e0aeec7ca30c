"""What came of a task: its scores, and behind them the ranks of every query.

Shapes: Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from unite.evaluation.metrics import (
    Ranks,
    Values,
    average_precision,
    first_ranks,
    hit_at,
    mean,
    mean_rank,
    median_rank,
    ndcg_at,
    reciprocal_rank,
)
from unite.evaluation.significance import interval
from unite.types import Item

DEPTHS = (1, 5, 10)
METRICS: dict[str, Callable[[Sequence[Ranks]], Values]] = {
    **{f"R@{k}": lambda ranks, k=k: hit_at(ranks, k) for k in (1, 5, 10, 50)},  # type: ignore[misc]
    "P@1": lambda ranks: hit_at(ranks, 1),
    "MRR": reciprocal_rank,
    "nDCG@10": lambda ranks: ndcg_at(ranks, 10),
    "mAP": average_precision,
}
"""Metrics that are means over queries, by name."""

PER_TASK = ("MedR", "MeanR")
"""Metrics that are no such means."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be embedded; it counts as missed."""

    side: str
    id: str
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a model reached in one task.

    Attributes:
        task: The task.
        split: The part of its suite.
        family: What it tests.
        queries: Number of queries, those that failed included.
        candidates: Number of candidates, those that failed included; of groups, where of each
            only the nearest counts.
        main_score: The metric that stands for the rest.
        metrics: Every metric; shares between 0 and 1, and median and mean rank.
        intervals: Bootstrap intervals of the metrics that are means, at 95 %.
        wrong_modality: Share of queries whose first hit is of another modality than wanted;
            None where the gallery has one modality only.
        by_target: R@1 for each target modality, where a task has several.
        failed_queries: Queries that could not be embedded.
        failed_candidates: Candidates that could not be embedded.
        reranked: Metrics after dual-softmax re-ranking, where it was asked for.
        pools: Least and most candidates of a query, where each has its own.
    """

    task: str
    split: str
    family: str
    queries: int
    candidates: int
    main_score: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    wrong_modality: float | None = None
    by_target: dict[str, float]
    failed_queries: int = 0
    failed_candidates: int = 0
    reranked: dict[str, float] | None = None
    pools: tuple[int, int] | None = None

    @property
    def recall(self) -> dict[int, float]:
        """R@k by k."""
        return {k: self.metrics[f"R@{k}"] for k in DEPTHS}

    @property
    def main(self) -> float:
        """The main score."""
        return self.metrics[self.main_score]

    def to_json(self) -> dict[str, object]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Score:
        """Read what `to_json` wrote; JSON has turned pairs into lists."""
        pairs = {name: (low, high) for name, (low, high) in row["intervals"].items()}
        pools = tuple(row["pools"]) if row.get("pools") else None
        return cls(**{**row, "intervals": pairs, "pools": pools})


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A query that was not answered first, with what came instead.

    Attributes:
        query: What was asked.
        answer: The best-placed answer.
        answer_score: Its score; None where it could not be embedded.
        rank: Its rank.
        hits: What came first: item, score, and whether it is an answer.
    """

    query: Item
    answer: Item
    answer_score: float | None
    rank: float
    hits: Sequence[tuple[Item, float, bool]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A task's score and what lies behind it.

    Attributes:
        score: The score.
        query_ids: Ids of the queries.
        ranks: Ranks of all answers of each query.
        hits: The first candidates of each query: ids and scores.
        failures: What could not be embedded.
        cases: A few queries that went wrong.
        query_groups: See `unite.evaluation.task.Task`.
    """

    score: Score
    query_ids: Sequence[str]
    ranks: Sequence[Ranks]
    hits: Sequence[Sequence[tuple[str, float]]]
    failures: Sequence[Failure] = ()
    cases: Sequence[Case] = ()
    query_groups: Sequence[int] = ()


def measure(
    ranks: Sequence[Ranks],
    candidates: int,
    wanted: Sequence[str],
    seed: int = 0,
    groups: Sequence[int] = (),
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Every metric of some ranks, and intervals of those that are means.

    Args:
        ranks: Ranks of all answers of each query.
        candidates: Size of the largest gallery that a query was asked of.
        wanted: Names of the task's own metrics beside the usual ones.
        seed: Of the intervals.
        groups: A number for each query, equal for those about one medium; empty: none are.
    """
    names = [name for name in METRICS if name != "P@1" or name in wanted]
    values = {name: METRICS[name](ranks) for name in names}
    first_Q = first_ranks(ranks)
    scores = {name: mean(value_Q) for name, value_Q in values.items()}
    scores["MedR"] = median_rank(first_Q, candidates)
    scores["MeanR"] = mean_rank(first_Q, candidates)
    intervals = {
        name: interval(value_Q, groups=groups, seed=seed) for name, value_Q in values.items()
    }
    return scores, intervals
