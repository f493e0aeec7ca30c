"""What the runs of a study have shown so far, and how it is asked.

Shapes: Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from unite.studies.node import RESULT, Run, damaged, read_json
from unite.studies.scoring import TaskResult

Values = npt.NDArray[np.float64]
Part = Literal["all", "tuning", "test"]
"""Which queries count: with something to tune, half of them are for that and the others test."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to.

    Attributes:
        tasks: A row a task.
        gap: Distances between the mean vectors of two modalities.
        pairs: What it saw in all its stages.
        seconds: Of its last stage and of scoring.
        pairs_per_second: Of its last stage.
    """

    tasks: tuple[TaskResult, ...]
    gap: Mapping[str, float]
    pairs: float
    seconds: float
    pairs_per_second: float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A score: the mean over tasks of the share of queries answered first.

    Attributes:
        name: As tables call it.
        takes: Which tasks count.
        meaning: What that is, for readers of a table.
        what: `answer`: the first hit is an answer; `wrong modality`: it is of a modality that
            was not asked for.
        target: Only the queries that ask for this modality, of a task with answers of several.
    """

    name: str
    takes: Callable[[TaskResult], bool]
    meaning: str = ""
    what: Literal["answer", "wrong modality"] = "answer"
    target: str | None = None

    def values(self, outcome: Outcome, part: Part = "all") -> dict[str, Values]:
        """1 or 0 for each query (Q,) of each task that counts.

        Queries about one medium count as one, by their mean: they are no independent evidence.
        """
        found = {}
        for task in outcome.tasks:
            if self.takes(task):
                value_Q = _part(_grouped(self._value(task), task.group_Q), part)
                found[f"{task.split}/{task.task}"] = value_Q[~np.isnan(value_Q)]
        return {name: value_Q for name, value_Q in found.items() if len(value_Q)}

    def of(self, outcome: Outcome, part: Part = "all") -> float:
        """The score; nan if no task counts."""
        means = [float(value_Q.mean()) for value_Q in self.values(outcome, part).values()]
        return sum(means) / len(means) if means else float("nan")

    def _value(self, task: TaskResult) -> Values:
        """1 or 0 for each query (Q,), nan for those that ask for something else."""
        if self.what == "answer":
            value_Q = np.array([rank == 1 for rank in task.rank_Q], np.float64)
        else:
            pairs = zip(task.first_Q, task.target_Q, strict=True)
            value_Q = np.array([first != target for first, target in pairs], np.float64)
        if self.target is not None:
            value_Q[np.array(task.target_Q) != self.target] = np.nan
        return value_Q


class Outcomes:
    """Outcomes by arm and seed, and the reasons of those that failed.

    Args:
        runs: The study's runs; those not yet done are left out.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs: list[Run] = []
        self.failures: dict[tuple[str, int], str] = {}
        self._found: dict[str, dict[int, Outcome]] = {}
        self.add(runs)

    def add(self, runs: Iterable[Run]) -> None:
        """Take in more runs."""
        for run in runs:
            self.runs.append(run)
            path = run.last.folder / RESULT
            if path.exists():
                self._found.setdefault(run.arm.name, {})[run.seed] = read_outcome(path, run)
            elif run.reason is not None:
                self.failures[run.arm.name, run.seed] = run.reason

    @property
    def unfinished(self) -> int:
        """How many runs have neither an outcome nor a reason why not."""
        return len(self.runs) - sum(map(len, self._found.values())) - len(self.failures)

    @property
    def arms(self) -> list[str]:
        """Names of all arms, in order."""
        return list(dict.fromkeys(run.arm.name for run in self.runs))

    def of(self, arm: str) -> dict[int, Outcome]:
        """An arm's outcomes by seed."""
        return self._found.get(arm, {})

    def scores(self, arm: str, metric: Metric, part: Part = "all") -> list[float]:
        """An arm's scores, in order of the seeds."""
        return [metric.of(outcome, part) for _, outcome in sorted(self.of(arm).items())]

    def best(self, arms: Sequence[str], metric: Metric, part: Part) -> str | None:
        """The arm of the highest mean score; the first of equal ones, None if none is there."""
        means = {arm: np.mean(self.scores(arm, metric, part)) for arm in arms if self.of(arm)}
        return max(means, key=lambda arm: means[arm]) if means else None


def read_outcome(path: Path, run: Run) -> Outcome:
    """Read a node's result.

    Raises:
        StudyError: It is damaged.
    """
    row = read_json(path)
    try:
        return Outcome(
            tasks=tuple(TaskResult.from_json(task) for task in row["tasks"]),
            gap=row["gap"],
            pairs=sum(node.pairs for node in run.nodes),
            seconds=row["training"]["seconds"] + row["scoring_seconds"],
            pairs_per_second=row["training"]["pairs_per_second"],
        )
    except (KeyError, TypeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def _grouped(value_Q: Values, groups: Sequence[int]) -> Values:
    if not groups:
        return value_Q
    _, number_Q = np.unique(np.asarray(groups), return_inverse=True)
    found_G: Values = np.bincount(number_Q, value_Q) / np.bincount(number_Q)
    return found_G


def _part(value_Q: Values, part: Part) -> Values:
    if part == "all":
        return value_Q
    # Two by two: a task may ask for a picture and for a clip in turn.
    second_Q = np.arange(len(value_Q)) // 2 % 2 == 1
    found_Q: Values = value_Q[second_Q if part == "test" else ~second_Q]
    return found_Q
