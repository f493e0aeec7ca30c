"""Runs beside each other and beside published scores, as rows that every form of report shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unite.evaluation.facts import Published
from unite.evaluation.registry import BENCHMARKS
from unite.evaluation.results import DEPTHS, Score
from unite.evaluation.saved import Key, Saved
from unite.evaluation.task import UNION
from unite.evaluation.tasks import mmeb

_BY_NAME = {benchmark.name: benchmark for benchmark in BENCHMARKS}
_MOST_POOLED = 1000
"""Candidates of an MMEB query, unless its set has fewer classes."""
_USUAL = tuple(f"R@{k}" for k in DEPTHS)

OTHERS = "the runs read other annotations: not to be compared"
LOST = "answers among them are missed, and without the others it is easier"
"""What it means for a score that candidates could not be embedded."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number in percent, with its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one task or group.

    Attributes:
        task: The task, or a group such as ``mmeb:vqa``.
        split: Its split; empty for a group.
        metric: The metric.
        is_main: Whether it is the main score.
        ours: A cell for each run, None where the run has not got the task.
        published: Published scores of the same metric.
        note: What a reader should know.
        is_whole: Whether it is of all that its name promises; a mean over a part of a group is no
            bar of a chart.
    """

    task: str
    split: str
    metric: str
    is_main: bool
    ours: tuple[Cell | None, ...]
    published: tuple[Published, ...]
    note: str = ""
    is_whole: bool = True


def rows(runs: Sequence[Saved]) -> list[Row]:
    """Every task of the runs in the order of the registry, then the groups of MMEB."""
    scores = [{(score.task, score.split): score for score in run.scores} for run in runs]
    keys = list(dict.fromkeys(key for known in scores for key in known))
    keys.sort(key=lambda key: _place(key[0]))
    found = [
        row
        for key in keys
        for row in _task_rows(key, [known.get(key) for known in scores], alike=_alike(key, runs))
    ]
    return [*found, *_groups(scores, runs)]


def _alike(key: Key, runs: Sequence[Saved]) -> bool:
    """Whether all runs that have a task read the same annotations of it."""
    having = [run for run in runs if any((one.task, one.split) == key for one in run.scores)]
    told = [_annotations(run, key[0]) for run in having]
    return all(one == told[0] for one in told)


def _annotations(run: Saved, task: str) -> object:
    """What a run read of a task."""
    if task == UNION:
        return run.annotations
    # A task that no benchmark is named for is one of a world's own.
    return run.annotations.get(task.partition("/")[0], run.annotations.get("world"))


def _place(task: str) -> int:
    names = list(_BY_NAME)
    name = task.partition("/")[0]
    return names.index(name) if name in _BY_NAME else len(names)


def _task_rows(key: Key, scores: Sequence[Score | None], *, alike: bool) -> list[Row]:
    benchmark = _BY_NAME.get(key[0].partition("/")[0])
    metrics = benchmark.metrics if benchmark else _USUAL
    published = benchmark.published if benchmark else ()
    note = _note(scores, alike=alike)
    plain = [
        Row(key[0], key[1], metric, place == 0, tuple(_cell(score, metric) for score in scores),
            tuple(one for one in published if one.task == key[0] and one.metric == metric),
            note if place == 0 else "")
        for place, metric in enumerate(metrics)
    ]  # fmt: skip
    again = [score.reranked if score else None for score in scores]
    label = f"dual softmax {metrics[0]}"
    beside = tuple(one for one in published if one.task == key[0] and one.metric == label)
    if not any(again) and not beside:
        return plain
    cells = tuple(Cell(100 * part[metrics[0]]) if part else None for part in again)
    return [*plain, Row(key[0], key[1], label, False, cells, beside, "re-ranked")]


def _cell(score: Score | None, metric: str) -> Cell | None:
    if score is None:
        return None
    low, high = score.intervals[metric]
    return Cell(100 * score.metrics[metric], 100 * low, 100 * high)


def sizes_that_differ(*scores: Score) -> list[str]:
    """What is said of one task's scores whose sizes are not the published ones; else nothing."""
    name, _, way = scores[0].task.partition("/")
    expected = _BY_NAME[name].sizes.get(way) if name in _BY_NAME else None
    sizes = {(score.queries, _candidates(score, expected)) for score in scores}
    if not expected or sizes == {expected}:
        return []
    held = ", ".join(f"{queries} × {candidates}" for queries, candidates in sorted(sizes))
    return [f"holds {held}, published {expected[0]} × {expected[1]}"]


def _note(scores: Sequence[Score | None], *, alike: bool) -> str:
    """Sizes that differ from the published ones, other annotations, and items that failed."""
    known = [score for score in scores if score is not None]
    said = sizes_that_differ(*known)
    pools = {score.pools for score in known if score.pools and min(score.pools) != _MOST_POOLED}
    said += [f"each query among {_range(*pool)} candidates" for pool in sorted(pools)]
    said += [] if alike else [OTHERS]
    said += _failed([[score] if score else [] for score in scores])
    return "; ".join(said)


def _failed(scores: Sequence[Sequence[Score]]) -> list[str]:
    """How many items each run could not embed; nothing if there are none."""
    queries = [sum(one.failed_queries for one in run) for run in scores]
    candidates = [sum(one.failed_candidates for one in run) for run in scores]
    said = []
    if any(queries):
        said.append(f"{', '.join(map(str, queries))} queries could not be embedded: missed")
    if any(candidates):
        said.append(f"{', '.join(map(str, candidates))} candidates could not be embedded: {LOST}")
    return said


def _candidates(score: Score, expected: tuple[int, int] | None) -> int:
    # Where each query has candidates of its own, their union says nothing: see `pools`.
    return expected[1] if expected and score.pools else score.candidates


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _groups(scores: Sequence[dict[Key, Score]], runs: Sequence[Saved]) -> list[Row]:
    """Means over MMEB's groups, over both distributions and over all."""
    members = {name: set(subsets) for name, subsets in _members().items()}
    return [
        row
        for name, subsets in members.items()
        if (row := _group(name, subsets, scores, runs)) is not None
    ]


def _members() -> dict[str, list[str]]:
    groups = {
        f"mmeb:{group}": [f"mmeb-{subset}" for part in parts for subset in part]
        for group, parts in mmeb.GROUPS.items()
    }
    for place, name in enumerate(("in-distribution", "out-of-distribution")):
        groups[f"mmeb:{name}"] = [
            f"mmeb-{subset}" for parts in mmeb.GROUPS.values() for subset in parts[place]
        ]
    return {**groups, "mmeb:overall": [one.name for one in mmeb.BENCHMARKS]}


def _group(
    name: str, subsets: set[str], scores: Sequence[dict[Key, Score]], runs: Sequence[Saved]
) -> Row | None:
    ours = [[score for (task, _), score in known.items() if task in subsets] for known in scores]
    counts = [len(members) for members in ours]
    if not any(counts):
        return None
    cells = tuple(
        Cell(100 * sum(score.main for score in members) / len(members)) if members else None
        for members in ours
    )
    whole = all(count in (0, len(subsets)) for count in counts)
    published = tuple(one for one in mmeb.AVERAGES if one.task == name)
    part = ", ".join(f"{count} of {len(subsets)}" for count in counts)
    said = [] if whole else [f"mean of {part} tasks only; no published mean stands beside it"]
    asked = {frozenset(score.task for score in members) for members in ours if members}
    if len(asked) > 1:
        said.append("of other tasks in each run: not to be compared")
    elif not all(_alike(key, runs) for known in scores for key in known if key[0] in subsets):
        said.append(OTHERS)
    note = "; ".join([*said, *_failed(ours)])
    return Row(name, "", "P@1", True, cells, published if whole else (), note, is_whole=whole)
