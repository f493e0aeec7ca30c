"""A study: phases of arms, what is measured of them, and what is claimed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from unite.errors import StudyError
from unite.studies.arm import Arm, Setting
from unite.studies.grid import carry_out, nodes_of
from unite.studies.node import Run, assert_comparable, plan
from unite.studies.outcome import Metric, Outcomes, Part
from unite.studies.scoring import unanswered
from unite.studies.verdict import Claim, Floor, Verdict, judge

Phase = Callable[[Setting, Outcomes], Sequence[Arm]]
"""Arms that follow from what earlier phases have shown; without outcomes, as many of them."""


@dataclass(frozen=True, slots=True)
class Study:
    """One question about training.

    Attributes:
        name: Its name on the command line.
        title: A line.
        question: A few sentences: what is varied, what is held equal.
        phases: In order.
        claims: What is decided when all has been run.
        metrics: Columns of its table.
        floor: Its reference arm and what that must have learned, stated beforehand.
        part: Which queries the report counts; `test` where others served for tuning.
        limits: What the study cannot say.
    """

    name: str
    title: str
    question: str
    phases: tuple[Phase, ...]
    claims: Callable[[Setting, Outcomes], Sequence[Claim]]
    metrics: tuple[Metric, ...]
    floor: Floor
    part: Part = "all"
    limits: tuple[str, ...] = ()


def side_by_side(setting: Setting, jobs: int) -> Setting:
    """The setting with so many runs at a time: several train in a single process each."""
    if jobs == 1:
        return setting
    return replace(setting, changes=(*setting.changes, "run.processes=1"))


def planned(study: Study, setting: Setting, root: Path) -> list[Run]:
    """All runs as far as they can be told; later phases with what is known now.

    Raises:
        RecipeError: A recipe does not hold.
        StudyError: Arms of one group have unequal budgets.
    """
    outcomes = Outcomes(())
    for phase in study.phases:
        outcomes.add(plan(phase(setting, outcomes), setting, root))
    assert_comparable(outcomes.runs)  # a group may have arms of several phases
    return outcomes.runs


def conduct(
    study: Study,
    setting: Setting,
    root: Path,
    *,
    jobs: int = 1,
    hours: float = math.inf,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    announce: Callable[[str], None] = lambda line: None,
) -> Outcomes:
    """Run what is left of a study.

    Args:
        study: What to run.
        setting: Data, recipes, seeds and scale.
        root: The folder in which `runs` lies.
        jobs: Runs side by side; with more than one, each trains in a single process.
        hours: For how long runs are begun; those that run then are finished.
        progress: Told the work's name, the pieces done and all of them.
        announce: Told beforehand what no run can decide.

    Returns:
        Outcomes of all phases, of those that were come to; failed runs are among them with their
        reasons.

    Raises:
        RecipeError: A recipe does not hold.
        StudyError: Arms of one group have unequal budgets, or the folder is in use.
        DataError: A suite is not there.
    """
    setting = side_by_side(setting, jobs)
    planned(study, setting, root)  # what cannot be run is refused before anything is
    for line in undecidable(study, setting):
        announce(line)
    outcomes, deadline = Outcomes(()), time.monotonic() + 3600 * hours
    with _alone(root):
        for number, phase in enumerate(study.phases, 1):
            runs = plan(phase(setting, outcomes), setting, root)
            name = f"{study.name} {number}/{len(study.phases)}"
            carry_out(
                nodes_of(runs), jobs=jobs, deadline=deadline, progress=partial(progress, name)
            )
            outcomes.add(runs)
            if outcomes.unfinished:
                break  # the next phase may follow from all of this one
    return outcomes


def undecidable(study: Study, setting: Setting) -> list[str]:
    """What the suites have no task for, a line each.

    Raises:
        DataError: A suite is not there.
    """
    tasks = unanswered(setting.suites, setting.scored_in)

    def measured(metric: Metric) -> bool:
        return any(map(metric.takes, tasks))

    suites = ", ".join(setting.suites)
    floor = study.floor.metric
    if not measured(floor):
        return [
            f"There will be no verdict: no task of {suites} counts for {floor.name!r}, by which "
            f"the reference is judged ({floor.meaning})."
        ]
    lines = []
    for claim in study.claims(setting, Outcomes(())):
        metrics = [m for each in claim.comparisons for m in (each.metric, each.other_metric) if m]
        wanting = next((metric for metric in metrics if not measured(metric)), None)
        if wanting is not None:
            lines.append(
                f"No task of {suites} counts for {wanting.name!r} ({wanting.meaning}), so there "
                f"will be no verdict on: {claim.text}"
            )
    return lines


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder of the runs; the lock of a killed process is gone with it.

    Raises:
        StudyError: Another process holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise StudyError(
            f"Another process runs a study in {root}.", "Wait for it, or choose another folder."
        ) from error


def verdicts(study: Study, setting: Setting, outcomes: Outcomes) -> list[Verdict]:
    """A verdict for each claim."""
    claims = study.claims(setting, outcomes)
    return [judge(claim, outcomes, study.floor, study.part) for claim in claims]
