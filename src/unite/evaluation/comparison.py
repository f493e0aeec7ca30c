"""Two runs on the same queries: what differs, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unite.errors import DataError
from unite.evaluation.metrics import Ranks, mean
from unite.evaluation.results import METRICS, Score
from unite.evaluation.saved import Key, read_ranks, read_run
from unite.evaluation.significance import Difference, paired_difference


@dataclass(frozen=True, slots=True)
class Compared:
    """One task of two runs, by its main score."""

    task: str
    split: str
    metric: str
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs.

    Attributes:
        tasks: What both have.
        only: Tasks that one of them has, named with its file.
    """

    tasks: list[Compared]
    only: list[str]


def compare(first: Path, second: Path, *, seed: int = 0) -> Comparison:
    """Compare two runs task by task, paired by query.

    Args:
        first: JSON of a run.
        second: JSON of another.
        seed: Of signs and resamples.

    Raises:
        DataError: A file is not there, or a task was asked other queries.
    """
    scores = [
        {(score.task, score.split): score for score in read_run(path).scores}
        for path in (first, second)
    ]
    shared = [key for key in scores[0] if key in scores[1]]
    if not shared:
        raise DataError(f"{first} and {second} have no task in common.")
    ranks = read_ranks(first), read_ranks(second)
    only = [
        *_alone(first, scores[0], scores[1]),
        *_alone(second, scores[1], scores[0]),
    ]
    return Comparison(
        [_compared(key, scores[0][key], ranks[0][key], ranks[1][key], seed) for key in shared], only
    )


def _alone(path: Path, mine: Mapping[Key, Score], theirs: Mapping[Key, Score]) -> list[str]:
    return [
        f"{task} ({split}): {path.name} alone"
        for task, split in mine
        if (task, split) not in theirs
    ]


def _compared(
    key: Key,
    score: Score,
    first: Mapping[str, Ranks],
    second: Mapping[str, Ranks],
    seed: int,
) -> Compared:
    if first.keys() != second.keys():
        raise DataError(f"The runs were asked other queries of {key[0]} ({key[1]}).")
    value = METRICS[score.main_score]
    first_Q, second_Q = (
        value([ranks[query] for query in sorted(ranks)]) for ranks in (first, second)
    )
    return Compared(
        task=key[0],
        split=key[1],
        metric=score.main_score,
        first=mean(first_Q),
        second=mean(second_Q),
        difference=paired_difference(first_Q, second_Q, seed=seed),
    )
