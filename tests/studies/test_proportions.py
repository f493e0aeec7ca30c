from dataclasses import replace
from pathlib import Path

import pytest
from tests.studies.conftest import finish, ranks, task

from unite.studies.arm import Setting
from unite.studies.composition import KINDS
from unite.studies.node import Run, plan
from unite.studies.outcome import Outcomes
from unite.studies.proportions import EQUAL, FOUND, OWN, best_shares, final, own_shares, trial

TRIALS = 10


@pytest.fixture
def setting(world: Path) -> Setting:
    return Setting(data=str(world))


def search(setting: Setting, root: Path, trials: int = TRIALS) -> tuple[list[Run], Outcomes]:
    """Trials whose score is the share of fine video."""
    outcomes, runs = Outcomes(()), []
    for number in range(trials):
        (run,) = plan(trial(number, setting, outcomes), setting, root)
        share = run.last.recipe.data.weights["tv_fine"]
        finish(run, [task(ranks(round(200 * share), 200))])
        runs.append(run)
        outcomes.add([run])
    return runs, outcomes


def test_an_interrupted_search_proposes_the_same_again(setting: Setting, tmp_path: Path) -> None:
    runs, outcomes = search(setting, tmp_path / "a")
    again, _ = search(setting, tmp_path / "a")
    assert [run.last.folder for run in runs] == [run.last.folder for run in again]
    (seventh,) = plan(trial(7, setting, outcomes), setting, tmp_path / "a")
    assert seventh.last.folder == runs[7].last.folder


def test_the_mix_found_is_that_of_the_best_trial(setting: Setting, tmp_path: Path) -> None:
    runs, outcomes = search(setting, tmp_path)
    best = max(run.last.recipe.data.weights["tv_fine"] for run in runs)
    shares = best_shares(outcomes)
    assert shares is not None
    assert shares["TV fine"] == pytest.approx(best, abs=0.006)  # scores are whole queries
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    arms = {arm.name: arm for arm in final(setting, outcomes)}
    assert list(arms) == [OWN, EQUAL, FOUND]
    assert arms[FOUND].seeds is None  # the study's own, not the search's


def test_the_search_learns_from_what_it_saw(setting: Setting, tmp_path: Path) -> None:
    runs, _ = search(setting, tmp_path, 16)
    shares = [run.last.recipe.data.weights["tv_fine"] for run in runs]
    assert sum(shares[6:]) / 10 > sum(shares[:6]) / 6


def test_the_recipes_own_mix_is_what_it_says(setting: Setting) -> None:
    shares = own_shares(setting)
    assert shares == pytest.approx(
        {"TT": 0.7 / 8.7, "TI": 4 / 8.7, "TV coarse": 1.5 / 8.7, "TV fine": 2.5 / 8.7}
    )
    assert set(shares) == set(KINDS)
    assert best_shares(Outcomes(())) is None
    assert replace(setting, seeds=(1,)).seeds == (1,)
