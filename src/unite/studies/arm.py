"""What is compared: arms, each a chain of training stages under an equal budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unite.errors import StudyError
from unite.training.recipe import Recipe
from unite.training.recipe_files import load_recipe

_MIN_STEPS = 4
_DECIDED = {
    "data.root": "Give the folder as --data.",
    "optimiser.seed": "Say how many seeds: --seeds N.",
}
TUNING_SEED = 1000
"""A seed to choose with; no verdict rests on it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training.

    Attributes:
        recipe: A recipe's name or path.
        changes: `section.key=value`, as of `unite train --set`.
        objective: An objective of `unite.studies.objectives` with its numbers; None: the recipe's.
        untrained: Only make the model that the recipe starts from, so that arms whose data
            differ begin with the same tokenizer and weights.
    """

    recipe: str
    changes: tuple[str, ...] = ()
    objective: Mapping[str, Any] | None = None
    untrained: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train, run once a seed.

    Attributes:
        name: As tables call it.
        stages: In order; each starts from the one before.
        group: Arms of one group are compared and must have equal budgets.
        seeds: Seeds of its own; None: the study's.
        frames: A fixed number of frames a clip, in training and in evaluation.
        chosen: What was chosen for it by earlier runs, or a search proposed, for readers of tables.
    """

    name: str
    stages: tuple[Stage, ...]
    group: str = "all"
    seeds: tuple[int, ...] | None = None
    frames: int | None = None
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a user decides about a study.

    Attributes:
        data: The folder of the pairs.
        stage1: The recipe of stage 1.
        stage2: The recipe of stage 2.
        changes: Changes to all recipes.
        seeds: Of arms that have none of their own.
        scale: Share of each recipe's steps, or epochs.
        suites: What models are scored on: see `unite eval list`.
        eval_data: The folder of the suites; None: that of the data.
    """

    data: str
    stage1: str = "small-stage1"
    stage2: str = "small-stage2"
    changes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    scale: float = 1.0
    suites: tuple[str, ...] = ("world",)
    eval_data: str | None = None

    def __post_init__(self) -> None:
        for change in self.changes:
            key = change.partition("=")[0].strip()
            if key in _DECIDED:
                raise StudyError(f"A study decides on {key} itself.", _DECIDED[key])

    @property
    def scored_in(self) -> Path:
        """The folder of the suites."""
        return Path(self.eval_data or self.data)

    @property
    def whole(self) -> Setting:
        """The same at the recipes' own length: what changes a length is scaled afterwards."""
        return replace(self, scale=1.0)

    @property
    def first(self) -> Recipe:
        """The recipe of stage 1, to look at."""
        return self.recipe(Stage(self.stage1), 0, start=None, frames=None)

    @property
    def second(self) -> Recipe:
        """The recipe of stage 2, to look at: it starts from a model of stage 1."""
        return self.recipe(Stage(self.stage2), 0, start="stage1/model", frames=None)

    def recipe(self, stage: Stage, seed: int, *, start: str | None, frames: int | None) -> Recipe:
        """A stage's recipe with its changes, the user's, the seed and the scaled length.

        Raises:
            RecipeError: It does not hold.
        """
        changes = [f"data.root={self.data}", *self.changes, *stage.changes]
        changes.append(f"optimiser.seed={seed}")
        if start is not None:
            changes.append(f"model.start={start}")
        if frames is not None:
            changes.append(f"data.frames={frames}")
        recipe = load_recipe(stage.recipe, changes)
        if self.scale == 1.0:
            return recipe
        return load_recipe(stage.recipe, [*changes, _length(recipe, self.scale)])


def _length(recipe: Recipe, scale: float) -> str:
    """The change that makes a run shorter or longer."""
    if recipe.optimiser.steps is None:
        return f"optimiser.epochs={(recipe.optimiser.epochs or 0) * scale}"
    return f"optimiser.steps={max(_MIN_STEPS, round(recipe.optimiser.steps * scale))}"


def assert_left_open(recipe: Recipe, key: str) -> None:
    """Refuse a recipe that says what a study varies, where the arms do not say it over.

    Raises:
        StudyError: It says it.
    """
    section, _, name = key.partition(".")
    value = getattr(getattr(recipe, section), name)
    if value is not None:
        raise StudyError(
            f"The recipe of {recipe.stage} has {key} = {value!r}, and this study varies it.",
            "Leave it out of the recipe and of --set.",
        )


def budget(recipe: Recipe) -> tuple[float, str]:
    """What a stage may see: pairs, or epochs where the recipe counts in these."""
    optimiser = recipe.optimiser
    if optimiser.steps is None:
        return float(optimiser.epochs or 0), "epochs"
    return float(optimiser.steps * optimiser.batch_size * optimiser.accumulation), "pairs"


def assert_equal_budgets(budgets: Mapping[str, Iterable[tuple[str, float]]]) -> None:
    """Refuse a comparison of arms that may learn from unequal amounts.

    Args:
        budgets: For each group, its arms by name with what each sees.

    Raises:
        StudyError: Two arms of a group differ by more than a thousandth.
    """
    for group, arms in budgets.items():
        rows = sorted(arms, key=lambda row: row[1])
        (poorest, least), (richest, most) = rows[0], rows[-1]
        if most - least > most / 1000:
            raise StudyError(
                f"Arms of the group {group!r} have unequal budgets: {poorest!r} sees {least:,g} "
                f"pairs or epochs, {richest!r} {most:,g}.",
                "Change steps and batch size together, or compare them in groups of their own.",
            )
