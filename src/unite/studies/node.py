"""A piece of work of a study: one stage trained, and scored if an arm ends there.

Its folder is named by a hash of all that shapes its outcome, so that arms which share a stage share
the work, and a study that is asked for again finds what it has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unite.errors import StudyError
from unite.studies.arm import Arm, Setting, assert_equal_budgets, budget
from unite.training.recipe import Recipe
from unite.whole import write_text

SPEC, TRAINED, RESULT, FAILURE = "spec.json", "trained.json", "result.json", "failure.json"
LOG = "log.txt"
FACTS = "world.json"
_ID = 12
_UNSAID = {"positions": "1d", "pooling": "last"}
"""What a model from random weights has where its recipe says nothing."""


@dataclass(frozen=True, slots=True)
class Node:
    """A stage of training with its place.

    Attributes:
        folder: Everything of it; named by its hash.
        recipe: Resolved, starting from the parent's model.
        objective: See `unite.studies.arm.Stage`.
        untrained: Only the starting model is made.
        parent: The node whose model it starts from.
        scored: Whether an arm ends here.
        suites: What it is scored on.
        eval_data: Where that lies.
        frames: Of every clip in scoring, whatever a task says; None: as the task says.
    """

    folder: Path
    recipe: Recipe
    objective: Mapping[str, Any] | None
    untrained: bool
    parent: Node | None
    scored: bool
    suites: tuple[str, ...]
    eval_data: Path
    frames: int | None = None

    @property
    def model(self) -> Path:
        """The directory of its finished model."""
        return model_of(self.folder)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return (self.folder / (RESULT if self.scored else TRAINED)).exists()

    @property
    def trained(self) -> bool:
        """Whether its model is there."""
        return trained(self.folder)

    @property
    def pairs(self) -> float:
        """Pairs that are seen; epochs where the recipe counts in these."""
        return 0.0 if self.untrained else budget(self.recipe)[0]

    def write_spec(self) -> None:
        """Write what a process of its own needs to do the work."""
        row = {
            "recipe": self.recipe.model_dump(mode="json"),
            "objective": self.objective,
            "untrained": self.untrained,
            "scored": self.scored,
            "suites": self.suites,
            "eval_data": str(self.eval_data),
            "frames": self.frames,
        }
        write_json(self.folder / SPEC, row)

    def reason(self) -> str | None:
        """Why it failed; None if it did not."""
        path = self.folder / FAILURE
        return str(read_json(path).get("error")) if path.exists() else None


@dataclass(frozen=True, slots=True)
class Run:
    """An arm with one seed: its nodes in order, the last one scored."""

    arm: Arm
    seed: int
    nodes: tuple[Node, ...]

    @property
    def last(self) -> Node:
        """The one that is scored."""
        return self.nodes[-1]

    @property
    def reason(self) -> str | None:
        """Why it failed: the reason of the first node that did.

        One that only could not be scored keeps nobody from starting from its model.
        """
        for number, node in enumerate(self.nodes, 1):
            if node.reason() is not None and (node is self.last or not node.trained):
                return f"stage {number}: {node.reason()}"
        return None


def plan(arms: Iterable[Arm], setting: Setting, root: Path) -> list[Run]:
    """The runs of some arms.

    Args:
        arms: What is compared.
        setting: Data, recipes, seeds and scale.
        root: The folder in which `runs` lies.

    Raises:
        RecipeError: A recipe does not hold.
        StudyError: Arms of one group have unequal budgets.
    """
    runs = []
    for arm in arms:
        for seed in setting.seeds if arm.seeds is None else arm.seeds:
            runs.append(Run(arm, seed, _chain(arm, seed, setting, root / "runs")))
    assert_comparable(runs)
    return runs


def assert_comparable(runs: Iterable[Run]) -> None:
    """Refuse runs of one group that may learn from unequal amounts.

    Raises:
        StudyError: Arms of one group have unequal budgets.
    """
    budgets: dict[str, dict[str, float]] = {}
    for run in runs:
        seen = sum(node.pairs for node in run.nodes)
        budgets.setdefault(run.arm.group, {})[run.arm.name] = seen
    assert_equal_budgets({group: arms.items() for group, arms in budgets.items()})


def _chain(arm: Arm, seed: int, setting: Setting, runs: Path) -> tuple[Node, ...]:
    data = fingerprint(Path(setting.data))
    nodes: list[Node] = []
    for number, stage in enumerate(arm.stages, 1):
        parent = nodes[-1] if nodes else None
        start = None if parent is None else str(parent.model)
        frames = None if stage.untrained else arm.frames
        recipe = setting.recipe(stage, seed, start=start, frames=frames)
        shaped: dict[str, Any] = {
            "recipe": _shaping(recipe, parent),
            "objective": stage.objective,
            "untrained": stage.untrained,
            "data": [data, fingerprint(setting.scored_in), *setting.suites],
        }
        if arm.frames is not None and setting.suites != ("world",):
            shaped["frames"] = (
                arm.frames
            )  # other suites have frames of their own, which it overrules
        name = hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()[:_ID]
        scored = number == len(arm.stages)
        nodes.append(
            Node(
                folder=runs / name,
                recipe=recipe,
                objective=stage.objective,
                untrained=stage.untrained,
                parent=parent,
                scored=scored,
                suites=setting.suites,
                eval_data=setting.scored_in,
                frames=arm.frames,
            )
        )
    return tuple(nodes)


def _shaping(recipe: Recipe, parent: Node | None) -> dict[str, Any]:
    """A recipe without what says where things lie or how the run is carried out."""
    row = recipe.model_dump(mode="json", exclude={"run"})
    row["data"].pop("root")
    model = row["model"]
    if parent is not None:
        model["start"] = parent.folder.name
    elif model["start"] is None:
        model |= {key: None for key, value in _UNSAID.items() if model[key] == value}
    return row


def fingerprint(data: Path) -> str:
    """What the data are: a small world's facts, or else their place."""
    facts = data / FACTS
    if not facts.exists():
        return str(data.resolve())
    return hashlib.sha256(facts.read_bytes()).hexdigest()


def model_of(folder: Path) -> Path:
    """The directory of a node's finished model."""
    return folder / "train" / "model"


def trained(folder: Path) -> bool:
    """Whether a node has its model; what a result was carried here without has none."""
    return (folder / TRAINED).exists() and model_of(folder).exists()


def write_json(path: Path, row: object, *, indent: int | None = 1) -> None:
    """Write a JSON file whole or not at all; without indent it is one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = None if indent else (",", ":")
    text = json.dumps(row, indent=indent, separators=separators, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that `write_json` wrote.

    Raises:
        StudyError: It is damaged.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(row, dict):
        raise damaged(path, "no object")
    return row


def damaged(path: Path, why: str) -> StudyError:
    """What is said of a file that is there and not whole."""
    return StudyError(
        f"{path} is damaged: {why}.", "Copy it again from where it is whole, or delete it."
    )
