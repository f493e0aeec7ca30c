"""Two runs on the same queries: what differs, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unite.errors import DataError
from unite.evaluation.metrics import mean
from unite.evaluation.results import METRICS, Score
from unite.evaluation.saved import Asked, Key, Saved, read_ranks, read_run
from unite.evaluation.significance import Difference, corrected, paired_difference


@dataclass(frozen=True, slots=True)
class Compared:
    """One task of two runs, by its main score.

    Attributes:
        corrected_p: The difference's p, corrected for how many tasks the comparison has.
    """

    task: str
    split: str
    metric: str
    first: float
    second: float
    difference: Difference
    corrected_p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs.

    Attributes:
        tasks: What both have.
        only: Tasks that one of them has, named with its file.
        notes: What a reader must know: settings that differ, items that failed.
    """

    tasks: list[Compared]
    only: list[str]
    notes: list[str]


def compare(first: Path, second: Path, *, seed: int = 0) -> Comparison:
    """Compare two runs task by task, paired by query.

    Args:
        first: JSON of a run.
        second: JSON of another.
        seed: Of signs and resamples.

    Raises:
        DataError: A file is not there, or the runs were not asked the same of the same data.
    """
    runs = read_run(first), read_run(second)
    scores = [{(score.task, score.split): score for score in run.scores} for run in runs]
    shared = [key for key in scores[0] if key in scores[1]]
    if not shared:
        raise DataError(
            f"{first} and {second} have no task in common.", "Run both on the same suites."
        )
    _assert_same_data(runs)
    ranks = read_ranks(runs[0]), read_ranks(runs[1])
    found = []
    for key in shared:
        one, other = scores[0][key], scores[1][key]
        _assert_alike(key, one, other)
        found.append(_compared(key, one, ranks[0].get(key, {}), ranks[1].get(key, {}), seed))
    p_values = corrected([one.difference.p for one in found])
    tasks = [replace(one, corrected_p=p) for one, p in zip(found, p_values, strict=True)]
    only = [
        *_alone(first, scores[0], scores[1]),
        *_alone(second, scores[1], scores[0]),
    ]
    return Comparison(tasks, only, [*_settings(runs), *_failed(runs, shared)])


def _assert_same_data(runs: tuple[Saved, Saved]) -> None:
    one, other = (run.annotations for run in runs)
    changed = [name for name in one if name in other and one[name] != other[name]]
    if changed:
        raise DataError(
            f"The runs read other annotations of {', '.join(changed)}.",
            "Run both on the same data; what is embedded already is not embedded again.",
        )


def _assert_alike(key: Key, one: Score, other: Score) -> None:
    facts = [
        (score.queries, score.candidates, score.pools, score.main_score) for score in (one, other)
    ]
    if facts[0] != facts[1]:
        raise DataError(
            f"The runs were not asked alike in {key[0]} ({key[1]}): queries, candidates, pools and "
            f"main score are {facts[0]} and {facts[1]}.",
            "Run both on the same data with one version of unite.",
        )


def _settings(runs: tuple[Saved, Saved]) -> list[str]:
    one, other = (
        {**run.settings, "frames": ", ".join(run.model_ids), **run.versions} for run in runs
    )
    return [
        f"{name}: {one.get(name, 'not told')} and {other.get(name, 'not told')}"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def _failed(runs: tuple[Saved, Saved], shared: Sequence[Key]) -> list[str]:
    found = []
    for run in runs:
        scores = [score for score in run.scores if (score.task, score.split) in shared]
        queries = sum(score.failed_queries for score in scores)
        candidates = sum(score.failed_candidates for score in scores)
        if queries or candidates:
            found.append(
                f"{run.path.name}: {queries} queries and {candidates} candidates could not be "
                "embedded"
                + ("; a gallery without these is easier for other queries" if candidates else "")
            )
    return found


def _alone(path: Path, mine: Mapping[Key, Score], theirs: Mapping[Key, Score]) -> list[str]:
    return [
        f"{task} ({split}): {path.name} alone"
        for task, split in mine
        if (task, split) not in theirs
    ]


def _compared(
    key: Key,
    score: Score,
    first: Mapping[str, Asked],
    second: Mapping[str, Asked],
    seed: int,
) -> Compared:
    if first.keys() != second.keys() or len(first) != score.queries:
        raise DataError(
            f"The runs were asked other queries of {key[0]} ({key[1]}).",
            "Run both on the same data.",
        )
    value, names = METRICS[score.main_score], sorted(first)
    first_Q, second_Q = (value([asked[name].ranks for name in names]) for asked in (first, second))
    groups = [group for name in names if (group := first[name].group) is not None]
    difference = paired_difference(first_Q, second_Q, groups=groups, seed=seed)
    return Compared(
        task=key[0],
        split=key[1],
        metric=score.main_score,
        first=mean(first_Q),
        second=mean(second_Q),
        difference=difference,
        corrected_p=difference.p,  # as if it were alone
    )
