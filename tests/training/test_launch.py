"""The processes of one run: they fail together and end with their launcher."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unite.errors import TrainingError
from unite.training.launch import launch


def test_a_failing_process_ends_the_others_and_is_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrainingError, match="exit codes"):
        launch(["no-such-recipe", "-o", str(tmp_path / "run")], 2, 1)
    assert "no recipe 'no-such-recipe'" in capfd.readouterr().err


def test_another_program_is_started_with_its_rank(tmp_path: Path) -> None:
    launch(["-s", f"import os; open(r'{tmp_path}/' + os.environ['RANK'], 'w').close()"], 2, 1,
           program=["timeit", "-n", "1", "-r", "1"])  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


@pytest.mark.slow
def test_processes_end_when_their_launcher_is_killed(changes: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [*changes, "run.processes=2", "run.threads=1", "optimiser.steps=2000"]
    command = [sys.executable, "-m", "unite.cli.main", "train", "small-stage1", "-o", str(run)]
    launcher = subprocess.Popen([*command, *(f"--set={word}" for word in words)])
    deadline = time.monotonic() + 300
    while not (run / "checkpoint-2").exists():
        assert launcher.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    listed = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    if not listed.exists():
        launcher.kill()
        pytest.skip("this kernel does not list children")
    children = [int(pid) for pid in listed.read_text().split()]
    assert len(children) == 2
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    while any(_alive(pid) for pid in children):
        assert time.monotonic() < deadline, "a process outlived its launcher"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
