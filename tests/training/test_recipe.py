from pathlib import Path

import pytest

from unite.errors import RecipeError
from unite.training.recipe import Recipe, load_recipe, shipped

ROOT = ["data.root=/somewhere"]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_holds(name: str) -> None:
    assert isinstance(load_recipe(name, ROOT), Recipe)


def test_stage_two_says_only_what_differs_from_stage_one() -> None:
    first, second = load_recipe("small-stage1", ROOT), load_recipe("small-stage2", ROOT)
    assert second.optimiser.batch_size == first.optimiser.batch_size
    assert second.optimiser.warmup == first.optimiser.warmup
    assert second.loss.temperature == first.loss.temperature
    assert second.loss.masked
    assert not first.loss.masked
    assert second.model.scratch is None
    assert first.model.start is None


def test_an_unknown_key_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(RecipeError, match=r"optimiser\.learning_rat.*learning_rate"):
        load_recipe("small-stage1", [*ROOT, "optimiser.learning_rat=1"])
    with pytest.raises(RecipeError, match=r"model\.scratch\.widht.*width"):
        load_recipe("small-stage1", [*ROOT, "model.scratch.widht=1"])
    with pytest.raises(RecipeError, match=r"optimizer.*optimiser"):
        load_recipe("small-stage1", [*ROOT, "optimizer.steps=1"])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="small-stage1"):
        load_recipe("smal-stage1")
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe("nowhere.toml")


def test_changes_are_read_as_toml_and_else_as_text() -> None:
    recipe = load_recipe(
        "small-stage1",
        [*ROOT, "loss.masked=true", "optimiser.learning_rate=5e-4", "model.start=some/where"],
    )
    assert recipe.loss.masked is True
    assert recipe.optimiser.learning_rate == 5e-4
    assert recipe.model.start == "some/where"
    assert recipe.model.scratch is None


@pytest.mark.parametrize(
    "change", ["loss", "loss=1", "steps=3", "loss.masked.deep=1", "optimiser.steps"]
)
def test_a_change_that_is_none_is_explained(change: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe("small-stage1", [*ROOT, "loss.masked=true", change])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("optimiser.steps=0", "steps"),
        ("loss.temperature=-1", "temperature"),
        ("loss.blend=2", "blend"),
        ("optimiser.batch_size=127", "multiple of run.processes"),
        ("data.weights={nowhere=1}", "unknown source"),
        ('stage="other"', "not understood"),
    ],
)
def test_values_out_of_range_are_named(change: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("small-stage1", [*ROOT, change])


def test_a_model_starts_from_one_thing() -> None:
    with pytest.raises(RecipeError, match="either"):
        load_recipe("small-stage2", [*ROOT, "model.scratch.width=32"])


def test_a_file_extends_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'extends = "small-stage1"\n[data]\nroot = "here"\n[optimiser]\nsteps = 5\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[optimiser]\nseed = 9\n')
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.optimiser.steps, recipe.optimiser.seed) == (5, 9)
    assert recipe.data.root == Path("here")


def test_broken_toml_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[data\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(str(tmp_path / "broken.toml"))


def test_a_recipe_is_frozen() -> None:
    recipe = load_recipe("small-stage1", ROOT)
    with pytest.raises(ValueError, match="frozen"):
        recipe.stage = "instruction-tuning"
