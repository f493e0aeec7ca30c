"""What holds for every study."""

from pathlib import Path

import pytest

from unite.errors import StudyError
from unite.studies.arm import Setting
from unite.studies.outcome import Outcomes
from unite.studies.registry import FULL, SMOKE, STUDIES, find_budget, find_study
from unite.studies.study import Study, planned

SMALL = ("frames", "temperature", "pooling", "positions", "proportions")


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_its_claims_and_floor_are_about_arms_that_are_run(
    study: Study, world: Path, tmp_path: Path
) -> None:
    arms = {run.arm.name for run in planned(study, Setting(data=str(world)), tmp_path)}
    named = {study.floor.arm}
    for claim in study.claims(Setting(data=str(world)), Outcomes(())):
        assert claim.text.endswith(".")
        named |= {name for each in claim.comparisons for name in (each.arm, each.other)}
    assert named <= arms
    assert all(metric.meaning for metric in study.metrics)
    assert 0 < study.floor.least < 1


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_it_has_three_seeds_in_full_and_runs_in_small(
    study: Study, world: Path, tmp_path: Path
) -> None:
    full = planned(study, Setting(data=str(world), seeds=tuple(range(FULL.seeds))), tmp_path)
    for claim in study.claims(Setting(data=str(world)), Outcomes(())):
        for name in (claim.comparisons[0].arm, claim.comparisons[0].other):
            assert len({run.seed for run in full if run.arm.name == name}) >= 3
    smoke = planned(study, Setting(data=str(world), seeds=(0,), scale=SMOKE.scale), tmp_path)
    steps = [node.recipe.optimiser.steps or 0 for run in smoke for node in run.nodes]
    assert max(steps) <= 10


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("frames", "data.frames", {2, 4, 8}),
        ("temperature", "loss.temperature", {0.01, 0.03, 0.05, 0.1}),
        ("pooling", "model.pooling", {"last", "mean"}),
        ("positions", "model.positions", {"1d", "mrope"}),
    ],
)
def test_the_small_ones_vary_one_thing(
    name: str, key: str, values: set[object], world: Path, tmp_path: Path
) -> None:
    section, _, field = key.partition(".")
    runs = planned(STUDIES[name], Setting(data=str(world)), tmp_path)
    found = {getattr(getattr(run.nodes[0].recipe, section), field) for run in runs}
    assert found == values


def test_unknown_names_get_the_nearest() -> None:
    assert find_study("masking").name == "masking"
    with pytest.raises(StudyError, match="Did you mean 'masking'"):
        find_study("maskin")


def test_budgets_are_named_or_a_share() -> None:
    assert (find_budget("smoke"), find_budget("full")) == (SMOKE, FULL)
    assert find_budget("0.25").scale == 0.25
    assert find_budget("0.25").seeds == 3
    for wrong in ("half", "0", "-1"):
        with pytest.raises(StudyError, match="smoke, full, or a share"):
            find_budget(wrong)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("temperature", "loss.temperature_bounds=[0.005, 0.5]"),
        ("pooling", "model.pooling=last"),
        ("positions", "model.positions=1d"),
    ],
)
def test_what_it_varies_is_left_open(name: str, change: str, world: Path, tmp_path: Path) -> None:
    """A user's change would reach into arms that do not say it over."""
    with pytest.raises(StudyError, match="this study varies it"):
        planned(STUDIES[name], Setting(data=str(world), changes=(change,)), tmp_path)
