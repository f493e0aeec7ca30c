"""One node from spec to result, in this process."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.studies.conftest import first, second

from unite.errors import TrainingError
from unite.studies import work
from unite.studies.arm import Arm, Setting, Stage
from unite.studies.families import MIXED, PURE
from unite.studies.node import FAILURE, RESULT, TRAINED, Run, plan, read_json
from unite.studies.outcome import Outcomes


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from tests.studies.conftest import TINY

    queue = replace(second("loss.masked=false"), objective={"kind": "queue", "batches": 2})
    setting = Setting(data=str(world), changes=TINY, seeds=(3,))
    root = tmp_path_factory.mktemp("study")
    untrained = Stage("small-stage1", first().changes, untrained=True)
    (run,) = plan([Arm("queue", (untrained, first(), queue))], setting, root)
    for node in run.nodes:
        node.write_spec()
        assert work.main(node.folder) == 0
    return run


def test_a_chain_is_trained_and_its_end_is_scored(run: Run) -> None:
    assert [(node.folder / RESULT).exists() for node in run.nodes] == [False, False, True]
    assert all(node.done for node in run.nodes)
    outcome = Outcomes([run]).of("queue")[3]
    assert outcome.pairs == 2 * 4 * 16
    assert outcome.pairs_per_second is not None
    assert 0 <= PURE.of(outcome) <= 1
    (mixed,) = MIXED.values(outcome).values()
    assert len(mixed) == 6 * 16
    assert set(outcome.gap) >= {"image|text", "image|video", "mean"}


def test_its_result_alone_tells_all_of_it(run: Run, tmp_path: Path) -> None:
    last = replace(run.last, folder=tmp_path / run.last.folder.name)
    last.folder.mkdir()
    shutil.copy(run.last.folder / RESULT, last.folder)
    elsewhere = replace(
        run, nodes=(*(replace(n, folder=tmp_path / "no") for n in run.nodes[:-1]), last)
    )
    assert Outcomes([elsewhere]).of("queue") == Outcomes([run]).of("queue")


def test_only_what_is_needed_stays(run: Run) -> None:
    left = {path.name for path in (run.last.folder / "train").iterdir()}
    assert {"model", "metrics.jsonl", "recipe.json"} <= left
    assert not any(name.startswith("checkpoint") for name in left)
    assert "pairs" not in left


@pytest.mark.parametrize(("asked", "saved"), [(200, [18, 20]), (1, [19, 20])])
def test_a_run_of_few_steps_is_saved_on_its_way(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, saved: list[int]
) -> None:
    changes = (*setting.changes, "optimiser.steps=20", f"run.save_every={asked}")
    (run,) = plan([Arm("one", (first(),))], replace(setting, changes=changes), tmp_path)
    run.last.write_spec()
    monkeypatch.setattr(work, "_SCRATCH", ())
    work.do(run.last.folder)
    steps = [path.name.split("-")[1] for path in run.last.folder.glob("train/checkpoint-*")]
    assert sorted(map(int, steps)) == saved  # of all, the last two are kept


def test_what_is_done_is_not_done_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run.last.folder / TRAINED).stat().st_mtime_ns
    (run.last.folder / RESULT).unlink()  # killed while it was scored
    monkeypatch.setattr(work, "train_here", pytest.fail)
    assert work.main(run.last.folder) == 0
    assert (run.last.folder / TRAINED).stat().st_mtime_ns == before
    assert run.last.done


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_failure_leaves_its_reason(setting: Setting, tmp_path: Path, processes: int) -> None:
    bad = Stage("small-stage1", (*first().changes, "data.sources.tt=train/nothing.json"))
    changes = (*setting.changes, f"run.processes={processes}")
    (run,) = plan([Arm("bad", (bad,))], replace(setting, changes=changes), tmp_path)
    run.last.write_spec()
    assert work.main(run.last.folder) == 1
    assert "nothing.json" in read_json(run.last.folder / FAILURE)["error"]
    assert run.reason is not None
    assert not run.last.done


def test_what_was_half_trained_from_elsewhere_is_told_with_a_way_out(
    setting: Setting, tmp_path: Path
) -> None:
    (run,) = plan([Arm("one", (first(),))], setting, tmp_path)
    run.last.write_spec()
    moved = run.last.recipe.model_copy(
        update={"data": run.last.recipe.data.model_copy(update={"root": tmp_path / "away"})}
    )
    (run.last.folder / "train").mkdir()
    (run.last.folder / "train" / "recipe.json").write_text(moved.model_dump_json())
    assert work.main(run.last.folder) == 1
    reason = read_json(run.last.folder / FAILURE)["error"]
    assert f"{run.last.folder / 'train'} is half trained" in reason
    assert "delete that folder" in reason


def test_a_killed_process_of_a_run_is_told_as_one(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise TrainingError("Training stopped (exit codes [-9, -9]).", "--resume")

    two = replace(setting, changes=(*setting.changes, "run.processes=2"))
    (run,) = plan([Arm("one", (first(),))], two, tmp_path)
    run.last.write_spec()
    monkeypatch.setattr(work, "launch", killed)
    assert work.main(run.last.folder) == 1
    reason = read_json(run.last.folder / FAILURE)["error"]
    assert "[-9, -9]" in reason
    assert "memory" in reason
    assert "--resume" not in reason
