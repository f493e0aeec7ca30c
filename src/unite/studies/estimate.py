"""How long a study would take, by steps that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from unite.errors import StudyError
from unite.studies.grid import carry_out, left, nodes_of
from unite.studies.node import LOG, RESULT, TRAINED, Node, Run, read_json

_STEPS = 8
_PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to do, and how long it takes.

    Attributes:
        nodes: Stages that are trained, of all runs together.
        done: Those there already.
        seconds: For the rest, one after another; None where epochs cannot be told in pairs.
        pairs_per_second: What that was reckoned with, by recipe stage.
    """

    nodes: int
    done: int
    seconds: float | None
    pairs_per_second: dict[str, float]


def estimate(runs: Sequence[Run], root: Path) -> Estimate:
    """Reckon what is left, by finished nodes of the study or a few steps of a node that can run.

    Args:
        runs: Of the study.
        root: The folder in which `runs` lies; a probe of a few steps is kept there.

    Raises:
        StudyError: The probe failed.
    """
    nodes = nodes_of(runs)
    waiting = left(nodes)
    trained = [node for node in waiting if not node.untrained]
    speeds: dict[str, float] = {}
    for node in trained:
        if node.recipe.stage not in speeds:
            alike = [other for other in nodes if other.recipe.stage == node.recipe.stage]
            speeds[node.recipe.stage] = _measured(alike) or _probed(node, root)
    seconds: float | None = None
    if all(node.recipe.optimiser.steps is not None for node in trained):
        seconds = sum(node.pairs / speeds[node.recipe.stage] for node in trained)
        seconds += len(waiting) * _overhead(nodes)
    return Estimate(len(nodes), len(nodes) - len(waiting), seconds, speeds)


def _measured(nodes: Iterable[Node]) -> float | None:
    """Pairs a second of finished nodes."""
    rows = [read_json(node.folder / TRAINED) for node in nodes if (node.folder / TRAINED).exists()]
    speeds = [row["pairs_per_second"] for row in rows if row["pairs_per_second"]]
    return mean(speeds) if speeds else None


def _overhead(nodes: Iterable[Node]) -> float:
    """Seconds of a node beside its steps: starting a process, reading pairs, scoring."""
    found = []
    for node in nodes:
        if (node.folder / RESULT).exists():
            row = read_json(node.folder / RESULT)
            speed = row["training"]["pairs_per_second"]
            steps = node.pairs / speed if speed else 0.0
            found.append(row["training"]["seconds"] - steps + row["scoring_seconds"])
    return max(0.0, mean(found)) if found else 0.0


def _probed(node: Node, root: Path) -> float:
    """Pairs a second over a few steps, with the model that the chain begins with."""
    first = node
    while first.parent is not None:
        first = first.parent
    optimiser = node.recipe.optimiser.model_copy(update={"steps": _STEPS, "epochs": None})
    run = node.recipe.run.model_copy(update={"log_every": _STEPS // 2})
    parts = {"optimiser": optimiser, "run": run, "model": first.recipe.model}
    recipe = node.recipe.model_copy(update=parts)
    folder = root / _PROBE / node.folder.name
    probe = replace(node, folder=folder, recipe=recipe, parent=None, scored=False)
    carry_out([probe])
    speed = None if probe.reason() else read_json(folder / TRAINED)["pairs_per_second"]
    if not speed:
        raise StudyError(
            f"A probe of {_STEPS} steps failed: {probe.reason() or 'no speed was logged'}.",
            f"What its process said: {folder / LOG}",
        )
    return float(speed)
