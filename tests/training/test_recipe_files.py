from pathlib import Path

import pytest

from unite.errors import RecipeError
from unite.training.recipe import Recipe
from unite.training.recipe_files import load_recipe, shipped

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


def test_a_file_extends_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'extends = "small-stage1"\n[data]\nroot = "here"\n[optimiser]\nsteps = 5\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[optimiser]\nseed = 9\n')
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.optimiser.steps, recipe.optimiser.seed) == (5, 9)
    assert recipe.data.root == Path("here")


def test_a_file_that_names_both_ways_is_refused_as_one_that_extends_nothing_is(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "small-stage1"\n[model]\nstart = "a"\n[model.scratch]\nwidth = 32\n')
    with pytest.raises(RecipeError, match="either"):
        load_recipe(str(mine))


def test_two_dots_lead_out_of_the_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "in", target_is_directory=True)
    (tmp_path / "real" / "base.toml").write_text('extends = "small-stage1"\n[data]\nroot = "r"\n')
    (tmp_path / "real" / "in" / "mine.toml").write_text('extends = "../base.toml"\n')
    assert load_recipe(str(tmp_path / "link" / "mine.toml")).data.root == Path("r")


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "../x/a"]])
def test_recipes_that_extend_each_other_are_named(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for name, base in zip(names, [*names[1:], names[0]], strict=True):
        (folder / f"{name}.toml").write_text(f'extends = "{base}.toml"\n')
    with pytest.raises(RecipeError, match=r"extends itself.*a\.toml → .*a\.toml"):
        load_recipe(str(folder / "a.toml"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"extends = 5\n", "Name one recipe"),
        ("# für Proben\n".encode("latin-1"), "Save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=complaint):
        load_recipe(str(tmp_path / "mine.toml"))


def test_broken_toml_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[data\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(str(tmp_path / "broken.toml"))
