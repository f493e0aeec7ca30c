from pathlib import Path

import pytest
from tests.studies.conftest import finish, first, second, task

from unite.studies.arm import Arm, Setting
from unite.studies.estimate import estimate
from unite.studies.node import plan


def test_what_is_left_is_reckoned_with_what_was_measured(setting: Setting, tmp_path: Path) -> None:
    arms = [
        Arm("one", (first(), second("loss.masked=false"))),
        Arm("other", (first(), second("loss.masked=true"))),
    ]
    runs = plan(arms, setting, tmp_path)
    finish(runs[0], [task([1])])
    found = estimate(runs, tmp_path)
    assert (found.nodes, found.done) == (3, 2)
    assert found.pairs_per_second == {"instruction-tuning": 50.0}
    # 64 pairs at 50 a second; beside its 1.28 s of steps a node took 1 + 1 - 1.28 s.
    assert found.seconds == 64 / 50 + (1 + 1 - 64 / 50)


def test_where_nothing_is_measured_a_few_steps_are_run(setting: Setting, tmp_path: Path) -> None:
    runs = plan([Arm("one", (first(),))], setting, tmp_path)
    found = estimate(runs, tmp_path)
    assert (found.nodes, found.done) == (1, 0)
    (speed,) = found.pairs_per_second.values()
    assert speed > 0
    assert found.seconds == pytest.approx(64 / speed)
    assert not (tmp_path / "runs").exists()  # a probe is no run


def test_epochs_are_not_guessed(setting: Setting, tmp_path: Path) -> None:
    arms = [Arm(f"{n}", (first(), second("optimiser.epochs=1", f"data.g_min={n}"))) for n in (2, 4)]
    runs = plan(arms, setting, tmp_path)
    finish(runs[0], [task([1])])
    assert estimate(runs, tmp_path).seconds is None
