"""The demo end to end in small, killed in the middle, and run again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

COMMAND = [sys.executable, "-m", "unite.cli.main", "demo"]


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_answers_and_survives_a_kill(tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path / "demo"), "--scale", "0.02"]
    environment = {**os.environ, "COLUMNS": "160"}
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 300
    while not (tmp_path / "demo" / "runs" / "stage1" / "recipe.json").exists():
        assert child.poll() is None, "the demo ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    for word in ("untrained", "stage 1", "stage 2", "Scenes never seen", "wrong modality"):
        assert word in done.stdout
    assert done.stdout.count("    1. ") == 6
    assert (tmp_path / "demo" / "sheet.html").read_text().startswith("<!doctype html>")
    with Image.open(tmp_path / "demo" / "sheet.png") as sheet:
        assert sheet.width > 500
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0
    assert again.stdout.count("    1. ") == 6
