import pytest
from tests.studies.conftest import first, second

from unite.errors import StudyError
from unite.studies.arm import Setting, Stage, assert_equal_budgets, budget
from unite.training.recipe import Recipe

SETTING = Setting(data="data")


def recipe(stage: Stage, setting: Setting = SETTING) -> Recipe:
    return setting.recipe(stage, 5, start=None, frames=None)


def test_a_stage_is_its_recipe_with_changes_seed_and_place() -> None:
    found = recipe(second("loss.temperature=0.07"))
    assert found.loss.temperature == 0.07
    assert found.optimiser.seed == 5
    assert str(found.data.root) == "data"
    assert found.optimiser.steps == 440


def test_an_arms_change_goes_over_the_users() -> None:
    user = Setting(data="data", changes=("loss.temperature=0.01", "optimiser.batch_size=64"))
    found = recipe(second("loss.temperature=0.07"), user)
    assert (found.loss.temperature, found.optimiser.batch_size) == (0.07, 64)


@pytest.mark.parametrize(("scale", "steps"), [(0.5, 220), (1e-9, 4), (2.0, 880)])
def test_a_budget_scales_steps(scale: float, steps: int) -> None:
    assert recipe(second(), Setting(data="data", scale=scale)).optimiser.steps == steps


def test_a_budget_scales_epochs() -> None:
    stage = Stage("small-stage1", ("optimiser.epochs=2",))
    found = recipe(stage, Setting(data="data", scale=0.5))
    assert (found.optimiser.epochs, found.optimiser.steps) == (1.0, None)
    assert budget(found) == (1.0, "epochs")


def test_accumulated_batches_count() -> None:
    parts = second("optimiser.batch_size=32", "optimiser.accumulation=4")
    assert budget(recipe(parts)) == budget(recipe(second())) == (440 * 128, "pairs")


def test_unequal_budgets_are_refused_by_name() -> None:
    assert_equal_budgets({"one": [("a", 1000), ("b", 1000)], "two": [("c", 5)]})
    with pytest.raises(StudyError, match=r"'all' have unequal.*'b' sees 900 .*'a' 1,000"):
        assert_equal_budgets({"all": [("a", 1000), ("b", 900)]})


def test_a_users_change_of_the_first_models_shape_leaves_stage_two_its_start() -> None:
    setting = Setting(data="data", changes=("model.scratch.width=32",))
    assert setting.first.model.scratch is not None
    assert setting.first.model.scratch.width == 32
    assert (setting.second.model.start, setting.second.model.scratch) == ("stage1/model", None)


def test_frames_are_those_of_training_and_scoring() -> None:
    assert SETTING.recipe(first(), 0, start=None, frames=8).data.frames == 8


@pytest.mark.parametrize("change", ["data.root=/elsewhere", " optimiser.seed = 3"])
def test_what_a_study_decides_is_no_change(change: str) -> None:
    with pytest.raises(StudyError, match=r"A study decides on .* itself\. .*--(data|seeds)"):
        Setting(data="data", changes=(change,))
