from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from tests.studies.conftest import finish, ranks, task

from unite.studies.arm import Setting
from unite.studies.composition import KINDS
from unite.studies.node import FAILURE, Run, plan
from unite.studies.outcome import Outcomes
from unite.studies.proportions import (
    EQUAL,
    FOUND,
    OWN,
    RANDOM,
    ROUNDS,
    best_shares,
    final,
    own_shares,
    trials,
)


@pytest.fixture
def setting(world: Path) -> Setting:
    return Setting(data=str(world))


def search(setting: Setting, root: Path, rounds: int = 3) -> tuple[list[Run], Outcomes]:
    """Trials whose score is the share of fine video."""
    outcomes, runs = Outcomes(()), []
    for number in range(rounds):
        asked = plan(trials(number, setting, outcomes), setting, root)
        for run in asked:
            share = run.last.recipe.data.weights["tv_fine"]
            finish(run, [task(ranks(round(200 * share), 200))])
        runs += asked
        outcomes.add(asked)
    return runs, outcomes


def test_an_interrupted_search_proposes_the_same_again(setting: Setting, tmp_path: Path) -> None:
    runs, outcomes = search(setting, tmp_path / "a")
    again, _ = search(setting, tmp_path / "a")
    assert [run.last.folder for run in runs] == [run.last.folder for run in again]
    second = plan(trials(1, setting, outcomes), setting, tmp_path / "a")  # all is known by then
    assert [run.last.folder for run in second] == [run.last.folder for run in runs[6:8]]


def test_trials_of_a_round_differ(setting: Setting, tmp_path: Path) -> None:
    runs, _ = search(setting, tmp_path, len(ROUNDS))
    assert [run.arm.name for run in runs] == [f"trial {place}" for place in range(sum(ROUNDS))]
    assert len({run.last.folder for run in runs}) == len(runs)


def test_a_trial_that_failed_is_passed_over(setting: Setting, tmp_path: Path) -> None:
    """The next round is proposed all the same; what is there is found."""
    asked = plan(trials(0, setting, Outcomes(())), setting, tmp_path)
    for run in asked[1:]:
        finish(run, [task(ranks(50, 200))])
    asked[0].last.folder.mkdir(parents=True)
    (asked[0].last.folder / FAILURE).write_text('{"error": "no room"}')
    outcomes = Outcomes(asked)
    assert outcomes.failures
    assert len(trials(1, setting, outcomes)) == ROUNDS[1]
    shares, weights = best_shares(outcomes), asked[1].last.recipe.data.weights
    assert shares is not None
    assert shares["TT"] == pytest.approx(weights["tt"])


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
    assert arms[EQUAL].chosen == "TT 25%, TI 25%, TV coarse 25%, TV fine 25%"
    assert f"TV fine {shares['TV fine']:.0%}" in arms[FOUND].chosen


def test_the_search_learns_from_what_it_saw(setting: Setting, tmp_path: Path) -> None:
    runs, _ = search(setting, tmp_path, len(ROUNDS))
    shares = [run.last.recipe.data.weights["tv_fine"] for run in runs]
    assert mean(shares[RANDOM:]) > mean(shares[:RANDOM])


def test_the_recipes_own_mix_is_what_it_says(setting: Setting) -> None:
    shares = own_shares(setting)
    assert shares == pytest.approx(
        {"TT": 0.7 / 8.7, "TI": 4 / 8.7, "TV coarse": 1.5 / 8.7, "TV fine": 2.5 / 8.7}
    )
    assert set(shares) == set(KINDS)
    assert best_shares(Outcomes(())) is None
    assert replace(setting, seeds=(1,)).seeds == (1,)
