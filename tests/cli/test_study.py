"""The verb end to end; a whole study in small is slow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from unite.cli.main import app
from unite.studies.registry import STUDIES
from unite.world.build import LOCK, MARKER, build_world

RUNNER = CliRunner()


def test_its_help_names_every_study() -> None:
    said = RUNNER.invoke(app, ["study", "--help"], env={"COLUMNS": "200"}).output
    assert all(name in said for name in STUDIES)


def test_an_unknown_study_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unite.cli.main", "study", "maskin", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == ("unite: There is no study 'maskin'. Did you mean 'masking'?")


def test_smoke_and_full_take_a_folder_each(tmp_path: Path) -> None:
    build_world(tmp_path / "out" / "world", 40, 7)
    words = ["study", "pooling", "-o", str(tmp_path / "out"), "--budget", "smoke"]
    command = [sys.executable, "-m", "unite.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds runs on a world of 40 scenes; --budget smoke takes one of 200" in done.stderr
    assert "Give each budget a folder of its own" in done.stderr


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    build_world(tmp_path / "world", 40, 3)
    (tmp_path / "out").write_text("a file")
    words = ["study", "pooling", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "world")]
    words += ["--share", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "unite.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(tmp_path / "out") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_two_studies_do_not_draw_one_world(tmp_path: Path) -> None:
    words = ["study", "pooling", "-o", str(tmp_path / "out"), "--budget", "smoke", "--dry-run"]
    (tmp_path / "out" / "world").mkdir(parents=True)
    with FileLock(tmp_path / "out" / "world" / LOCK):
        command = [sys.executable, "-m", "unite.cli.main", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Another process makes the world" in done.stderr
    assert not (tmp_path / "out" / "world" / MARKER).exists()


@pytest.mark.slow
def test_a_study_runs_tells_its_cost_and_reports(tmp_path: Path) -> None:
    build_world(tmp_path / "world", 40, 3)
    words = ["study", "pooling", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "world")]
    words += ["--budget", "0.01", "--seeds", "3", "--jobs", "2"]
    command = [sys.executable, "-m", "unite.cli.main", *words, "--set", "optimiser.batch_size=16"]
    environment = {**os.environ, "COLUMNS": "160"}
    dry = subprocess.run(
        [*command, "--dry-run"], env=environment, capture_output=True, text=True, check=False
    )
    assert dry.returncode == 0, dry.stderr
    assert "6 runs, 12 stages to train; 0 are done" in dry.stdout
    assert "pairs a second, measured" in dry.stdout
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No verdict: the reference arm 'last token' has not learned" in done.stdout
    report = (tmp_path / "out" / "report.md").read_text()
    assert "6 of 6 runs finished" in report


@pytest.mark.slow
def test_studies_that_share_a_folder_share_their_runs(tmp_path: Path) -> None:
    build_world(tmp_path / "world", 40, 3)
    words = ["--data", str(tmp_path / "world"), "--share", str(tmp_path / "both")]
    words += ["--budget", "0.01", "--seeds", "1", "--set", "optimiser.batch_size=16"]

    def run(name: str, *more: str) -> str:
        command = [sys.executable, "-m", "unite.cli.main", "study", name]
        command += ["-o", str(tmp_path / name), *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pooling")
    last = (tmp_path / "pooling" / "report.md").read_text()
    assert "2 of 2 runs finished" in last
    assert "2 runs, 4 stages to train; 2 are done" in run("positions", "--dry-run")
    run("positions")
    assert "2 of 2 runs finished" in (tmp_path / "positions" / "report.md").read_text()
    assert len(list((tmp_path / "both" / "runs").iterdir())) == 6
    assert not (tmp_path / "pooling" / "runs").exists()
