from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from tests.studies.conftest import finish, first, ranks, second, task

from unite.errors import DataError, StudyError
from unite.studies.arm import Arm, Setting
from unite.studies.comparison import Comparison
from unite.studies.families import COMPOSED, FINE, PURE, TEMPORAL
from unite.studies.node import plan
from unite.studies.outcome import Outcomes
from unite.studies.study import Study, conduct, planned, undecidable, verdicts
from unite.studies.verdict import Claim, Floor


def arm(temperature: float) -> Arm:
    return Arm(f"τ {temperature}", (first(), second(f"loss.temperature={temperature}")))


def begin(setting: Setting, outcomes: Outcomes) -> list[Arm]:
    del setting, outcomes
    return [arm(0.02), arm(0.04)]


def go_on(setting: Setting, outcomes: Outcomes) -> list[Arm]:
    """Between the better one and the next."""
    del setting
    best = outcomes.best(["τ 0.02", "τ 0.04"], PURE, "all") or "τ 0.02"
    return [arm(float(best.split()[1]) + 0.01)]


STUDY = Study("s", "S", "Q.", (begin, go_on), lambda *_: [Claim("C.", "us", (Comparison(PURE, "τ 0.05", "τ 0.02"),))], (PURE,),
              Floor("τ 0.02", FINE, 0.1))  # fmt: skip


def test_a_later_phase_follows_from_what_an_earlier_one_showed(
    setting: Setting, tmp_path: Path
) -> None:
    names = [run.arm.name for run in planned(STUDY, setting, tmp_path)]
    assert names == ["τ 0.02", "τ 0.04", "τ 0.03"]
    for run, hits in zip(
        plan(begin(setting, Outcomes(())), setting, tmp_path), (5, 9), strict=True
    ):
        finish(run, [task(ranks(hits, 10))])
    runs = planned(STUDY, setting, tmp_path)
    assert [run.arm.name for run in runs] == ["τ 0.02", "τ 0.04", "τ 0.05"]
    finish(runs[-1], [task(ranks(10, 10))])
    outcomes = conduct(STUDY, setting, tmp_path)  # all is there: nothing is started
    assert outcomes.scores("τ 0.05", PURE) == [1.0]
    assert [verdict.ruling for verdict in verdicts(STUDY, setting, outcomes)] == ["no verdict"]


def test_when_its_time_is_up_it_begins_no_run_and_no_phase(
    setting: Setting, tmp_path: Path
) -> None:
    first_of_all, _ = plan(begin(setting, Outcomes(())), setting, tmp_path)
    finish(first_of_all, [task(ranks(5, 10))])
    outcomes = conduct(STUDY, setting, tmp_path, hours=0)
    assert outcomes.arms == ["τ 0.02", "τ 0.04"]
    assert outcomes.scores("τ 0.02", PURE) == [0.5]
    assert outcomes.unfinished == 1
    assert not list(tmp_path.rglob("spec.json"))


def test_what_it_is_scored_on_is_looked_for_before_anything_is_run(
    setting: Setting, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no suite or task 'wurld'"):
        conduct(STUDY, replace(setting, suites=("wurld",)), tmp_path)
    with pytest.raises(DataError, match="Urban1K is not there"):
        conduct(STUDY, replace(setting, suites=("urban1k",)), tmp_path)
    assert not list(tmp_path.rglob("spec.json"))


@pytest.mark.parametrize("is_later", [False, True])
def test_what_cannot_be_run_is_refused_before_anything_is(
    setting: Setting, tmp_path: Path, is_later: bool
) -> None:
    longer = replace(arm(0.03), stages=(first(), second("optimiser.steps=8")))
    at_once = (lambda *_: [*begin(setting, Outcomes(())), longer],)
    study = replace(STUDY, phases=(begin, lambda *_: [longer]) if is_later else at_once)
    with pytest.raises(StudyError, match="unequal budgets"):
        conduct(study, setting, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_no_run_can_decide_is_told_before_any(setting: Setting, tmp_path: Path) -> None:
    said: list[str] = []
    composed = Comparison(COMPOSED, "τ 0.02", "τ 0.04", other_metric=PURE)
    study = replace(STUDY, claims=lambda *_: [Claim("C.", "us", (composed,))])
    only = replace(setting, suites=("fine",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unite.studies.study.unanswered", lambda *_: [task([1])])
        conduct(study, only, tmp_path, hours=0, announce=said.append)
        assert len(said) == 1
        assert said[0].startswith("No task of fine counts for 'composed'")
        assert said[0].endswith("no verdict on: C.")
        blind = replace(study, floor=Floor("τ 0.02", TEMPORAL, 0.1))
        (line,) = undecidable(blind, only)
        assert "There will be no verdict: no task of fine counts for 'temporal'" in line
    assert undecidable(study, setting) == []


def test_a_folder_has_one_study_at_a_time(setting: Setting, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(StudyError, match="Another process runs a study"),
    ):
        conduct(STUDY, setting, tmp_path)
