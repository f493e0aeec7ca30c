"""Real processes: killed, resumed, failing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.studies.conftest import NARROW, TINY, first, second

from unite.studies import grid
from unite.studies.arm import Arm, Setting, Stage
from unite.studies.grid import carry_out, left, nodes_of
from unite.studies.node import FAILURE, SPEC, TRAINED, plan, read_json, write_json

STUDY = f"""
import sys
from pathlib import Path
from unite.studies.arm import Arm, Setting, Stage
from unite.studies.grid import carry_out, nodes_of
from unite.studies.node import plan

changes = ({", ".join(map(repr, TINY))}, "optimiser.steps=40", "run.save_every=2")
stage = Stage("small-stage1", ({", ".join(map(repr, NARROW))},))
runs = plan([Arm("one", (stage,))], Setting(sys.argv[1], changes=changes, seeds=(0,)), Path(sys.argv[2]))
carry_out(nodes_of(runs))
"""


def up_when(sign: Path) -> SimpleNamespace:
    """A clock for the grid alone: another thread that sleeps by a stopped one would not wake."""
    return SimpleNamespace(monotonic=lambda: 2.0 if sign.exists() else 0.0, sleep=time.sleep)


def test_a_node_whose_beginning_failed_is_a_row_too(setting: Setting, tmp_path: Path) -> None:
    bad = Stage("small-stage1", (*NARROW, "data.sources.tt=train/nothing.json"))
    runs = plan([Arm("bad", (bad, second()))], setting, tmp_path)
    (run,) = runs
    carry_out(nodes_of(runs), deadline=time.monotonic())
    assert run.reason is None  # nothing was begun
    begun = run.nodes[0].folder / SPEC
    with pytest.MonkeyPatch.context() as patch:  # time is up once the first one runs
        patch.setattr(grid, "time", up_when(begun))
        carry_out(nodes_of(runs), deadline=1.0)
    assert "nothing.json" in (run.reason or "")  # what was begun is finished
    assert run.last.reason() is None
    seen: list[tuple[int, int]] = []
    carry_out(nodes_of(runs), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)
    assert "nothing.json" in (run.reason or "")
    assert "what it starts from failed" in read_json(run.last.folder / FAILURE)["error"]
    carry_out(nodes_of(runs), deadline=time.monotonic())  # no time for another attempt
    assert "nothing.json" in (run.reason or "")


def test_nothing_is_started_where_all_is_done(setting: Setting, tmp_path: Path) -> None:
    runs = plan([Arm("one", (first(), second()))], setting, tmp_path)
    for node in runs[0].nodes:
        write_json(node.folder / TRAINED, {})
        write_json(node.folder / "result.json", {})
    carry_out(nodes_of(runs), progress=lambda done, total: None)
    assert not list(tmp_path.rglob("spec.json"))


def test_a_result_is_enough_and_a_model_is_made_again_where_it_is_missing(
    setting: Setting, tmp_path: Path
) -> None:
    arms = [
        Arm("first", (first(),), group="begun"),
        Arm("both", (first(), second())),
        Arm("other", (first(), second("loss.temperature=0.5"))),
    ]
    nodes = nodes_of(plan(arms, setting, tmp_path))
    beginning, both, other = nodes
    assert left(nodes) == nodes
    for node in (beginning, both):
        write_json(node.folder / "result.json", {})
    assert left(nodes) == [beginning, other]  # the other one needs a model to start from
    beginning.model.mkdir(parents=True)
    assert left(nodes) == [beginning, other]  # a model of a run that has not ended
    write_json(beginning.folder / TRAINED, {})
    assert left(nodes) == [other]
    write_json(other.folder / "result.json", {})
    assert left(nodes) == []


def test_a_model_that_is_there_is_scored_though_its_beginning_is_gone(
    setting: Setting, tmp_path: Path
) -> None:
    nodes = nodes_of(plan([Arm("one", (first(), second()))], setting, tmp_path))
    beginning, last = nodes
    last.model.mkdir(parents=True)  # of no use, but it is there
    write_json(last.folder / TRAINED, {})
    assert not beginning.trained
    carry_out(nodes)
    assert last.reason() is not None  # it was tried


@pytest.mark.slow
def test_what_a_beginning_had_spoilt_is_left_to_do_once_that_is_mended(
    setting: Setting, tmp_path: Path
) -> None:
    nodes = nodes_of(plan([Arm("one", (first(), second()))], setting, tmp_path))
    beginning, last = nodes
    write_json(beginning.folder / FAILURE, {"error": "no space"})
    write_json(last.folder / FAILURE, {"error": "what it starts from failed: no space"})
    begun = beginning.folder / SPEC
    with pytest.MonkeyPatch.context() as patch:  # time is up once the first one runs
        patch.setattr(grid, "time", up_when(begun))
        carry_out(nodes, deadline=1.0)
    assert beginning.trained
    assert [node.reason() for node in nodes] == [None, None]
    carry_out(nodes, deadline=time.monotonic())
    assert left(nodes) == [last]
    carry_out(nodes)
    assert left(nodes) == []


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_and_no_process_is_left(world: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUDY, str(world), str(tmp_path)]
    parent = subprocess.Popen(command)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/*/train/checkpoint-4")):
        assert parent.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while any(_alive(int(pid)) for pid in listed):
        assert time.monotonic() < deadline, "a process outlived its study"
        time.sleep(0.05)
    (folder,) = tmp_path.glob("runs/*")
    assert not (folder / TRAINED).exists()
    assert subprocess.run(command, check=False, timeout=300).returncode == 0
    assert (folder / "result.json").exists()
    steps = [
        row["step"]
        for line in (folder / "train" / "metrics.jsonl").read_text().splitlines()
        if "loss" in (row := json.loads(line))
    ]
    assert steps[-1] == 40
    assert steps.count(2) == 1, "it began anew instead of going on"


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_beginning_that_could_only_not_be_scored_is_started_from(
    setting: Setting, tmp_path: Path
) -> None:
    nodes = nodes_of(
        plan(
            [Arm("begun", (first(),), group="begun"), Arm("both", (first(), second()))],
            setting,
            tmp_path,
        )
    )
    beginning, last = nodes
    beginning.model.mkdir(parents=True)  # of no use, but it is there
    write_json(beginning.folder / TRAINED, {})
    carry_out(nodes)
    assert beginning.reason() is not None
    assert "what it starts from" not in (last.reason() or "")
