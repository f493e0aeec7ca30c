"""The tables of a report, as rows of strings that every format prints alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean, stdev

from unite.studies.arm import Arm
from unite.studies.comparison import Finding
from unite.studies.outcome import Metric, Outcomes, Part
from unite.studies.scoring import TaskResult
from unite.studies.study import Study
from unite.studies.verdict import Verdict

_SEARCHING = ("tuning", "search")
"""Groups of arms by which something is chosen."""


@dataclass(frozen=True, slots=True)
class Table:
    """A heading and rows of cells; the first cell of each is text, the others are numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def score_tables(study: Study, outcomes: Outcomes) -> list[Table]:
    """Scores of every arm, a table for each group."""
    groups: dict[str, dict[str, Arm]] = {}
    for run in outcomes.runs:
        groups.setdefault(run.arm.group, {}).setdefault(run.arm.name, run.arm)
    metrics = [metric.name for metric in study.metrics]
    tables = []
    for group, arms in groups.items():
        part = part_of(group, study)
        any_chosen = any(arm.chosen for arm in arms.values())
        head = ("arm", *["chosen"] * any_chosen, "seeds", *metrics, "gap", "pairs/s")
        rows = [
            (name, *[arm.chosen] * any_chosen, *_cells(name, study.metrics, outcomes, part))
            for name, arm in arms.items()
        ]
        queries = "" if part == "all" else f", {part} queries"
        tables.append(Table(f"R@1 in % (group: {group}{queries})", head, tuple(rows)))
    return tables


def part_of(group: str, study: Study) -> Part:
    """Which queries arms of a group are scored on: those of a search on the ones for tuning."""
    return "tuning" if group in _SEARCHING else study.part


def reported(outcomes: Outcomes) -> list[str]:
    """Arms with an outcome, those left out that only served to choose something."""
    names = [run.arm.name for run in outcomes.runs if run.arm.group not in _SEARCHING]
    return [name for name in dict.fromkeys(names) if outcomes.of(name)]


def family_table(outcomes: Outcomes, part: Part) -> Table:
    """R@1 of every task, a row a task, a column an arm; controls and new combinations apart.

    Below a task with answers of several modalities there is a row for each of them.
    """
    arms = reported(outcomes)
    metrics: dict[str, Metric] = {}
    for arm in arms:
        for outcome in outcomes.of(arm).values():
            for task in outcome.tasks:
                metrics |= {metric.name: metric for metric in _metrics_of(task)}
    rows = [
        (name, *(spread(outcomes.scores(arm, metric, part)) for arm in arms))
        for name, metric in metrics.items()
    ]
    return Table("R@1 in % of each task", ("task", *arms), tuple(rows))


def failure_table(outcomes: Outcomes) -> Table:
    """What failed, and why."""
    rows = [(arm, str(seed), reason) for (arm, seed), reason in outcomes.failures.items()]
    return Table("Runs that failed", ("arm", "seed", "reason"), tuple(rows))


def finding_table(verdict: Verdict) -> Table:
    """The numbers of a verdict."""
    head = ("comparison", "difference", "95 % interval", "bound", "says", "seeds", "p (queries)")
    rows = tuple(_finding_row(finding) for finding in verdict.findings)
    return Table("", head, rows)


def spread(scores: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds, in %."""
    known = [100 * score for score in scores if not math.isnan(score)]
    if not known:
        return "–"
    if len(known) == 1:
        return f"{known[0]:.1f}"
    return f"{mean(known):.1f} ± {stdev(known):.1f}"


def points(value: float) -> str:
    """A difference of scores in points."""
    return f"{100 * value:+.1f}"


def told(finding: Finding) -> str:
    """What is compared, in words."""
    comparison = finding.comparison
    other = comparison.other_metric
    where = f"{comparison.metric.name}"
    against = comparison.other if other is None else f"{comparison.other} in {other.name}"
    return f"{comparison.arm} − {against}, {where}"


def _cells(arm: str, metrics: Sequence[Metric], outcomes: Outcomes, part: Part) -> tuple[str, ...]:
    found = list(outcomes.of(arm).values())
    cells = [spread(outcomes.scores(arm, metric, part)) for metric in metrics]
    gap = _mean([outcome.gap["mean"] for outcome in found if "mean" in outcome.gap])
    speed = _mean([o.pairs_per_second for o in found if o.pairs_per_second])
    return (
        str(len(found)),
        *cells,
        "–" if gap is None else f"{gap:.2f}",
        "–" if speed is None else f"{speed:.0f}",
    )


def _metrics_of(task: TaskResult) -> list[Metric]:
    """A task's score, and its scores by what is asked for where that is not always the same."""
    name, takes = f"{task.split}/{task.task}", partial(_is, task.split, task.task)
    wanted = sorted(set(task.target_Q))
    asked = [Metric(f"{name}, {one} asked for", takes, target=one) for one in wanted]
    return [Metric(name, takes), *(asked if len(wanted) > 1 else [])]


def _is(split: str, name: str, task: TaskResult) -> bool:
    return (task.split, task.task) == (split, name)


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _finding_row(finding: Finding) -> tuple[str, ...]:
    name = told(finding)
    if finding.missing:
        return (name, "–", "–", points(finding.comparison.bound), "–", "–", "–")
    return (
        name,
        points(finding.mean),
        f"{points(finding.low)} … {points(finding.high)}",
        points(finding.comparison.bound),
        finding.answer,
        ", ".join(points(value) for value in finding.differences),
        "–" if finding.p is None else f"{finding.p:.3f}",
    )
