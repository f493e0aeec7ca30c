"""`unite train` as it is started: alone, dry, and under torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.cli.conftest import Unite

from unite.world.build import build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("train") / "world"
    build_world(directory, 40, 5)
    return directory


def test_a_dry_run_reads_well_in_a_pipe(unite: Unite, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = unite("train", "debug", "-o", out, f"--set=data.root={world}", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last one names a path
    for part in (
        "random weights (made anew)", "4 steps of 16 pairs", "64 examples", "tt", "text→video",
        "times seen", "fewest", "candidates a row meets", "tokens of its largest chunk",
        "FLOPs of the run", "activations of the largest chunk", "estimated", "guessed",
    ):  # fmt: skip
        assert part in done.stdout, part
    assert str(out / "pairs") in lines[-1]


def test_after_a_dry_run_the_run_is_not_refused(unite: Unite, world: Path, tmp_path: Path) -> None:
    words = ["train", "debug", "-o", str(tmp_path / "run"), f"--set=data.root={world}"]
    assert unite(*words, "--dry-run").exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", "unite.cli.main", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "model")
    assert "4 batches of 16 pairs" in done.stderr
    assert "text→video" in done.stderr
    again = unite(*words, "--dry-run")
    assert again.exit_code == 1
    assert "already holds a run" in again.stderr
    assert unite(*words, "--dry-run", "--resume").exit_code == 0


def test_a_dry_run_as_json(unite: Unite, world: Path, tmp_path: Path) -> None:
    words = ["train", "debug", "-o", tmp_path / "run", f"--set=data.root={world}", "--dry-run"]
    done = unite(*words, "--set=run.processes=4", "--json")
    row = json.loads(done.stdout)
    assert row["problems"] == []
    assert (row["processes"], row["steps"], row["batch_size"]) == (4, 4, 16)
    assert sum(kind["examples"] for kind in row["kinds"].values()) == 64


def test_all_problems_are_printed_and_the_exit_code_is_one(unite: Unite, tmp_path: Path) -> None:
    changes = [f"--set=data.root={tmp_path}", "--set=model.start=./none"]
    words = ["train", "stage2-7b", "-o", tmp_path / "run", *changes, "--dry-run"]
    done = unite(*words)
    assert done.exit_code == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("unite: ") for line in lines)
    assert not (tmp_path / "run").exists()
    row = json.loads(unite(*words, "--json").stdout)
    assert [f"unite: {problem}" for problem in row["problems"]] == lines


def test_broken_media_are_counted_and_do_not_fail_it(
    unite: Unite, world: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "broken.png"
    picture.write_bytes(b"no picture")
    rows = [{"query": {"text": f"a {n}"}, "candidate": {"image": "broken.png"}} for n in range(20)]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    (tmp_path / "own.toml").write_text(
        f'extends = "debug"\n[data]\nroot = "{tmp_path}"\n[data.sources]\nown = "pairs.json"\n'
        "[data.weights]\nown = 1\n"
    )
    done = unite("train", tmp_path / "own.toml", "-o", tmp_path / "run", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "1 media of the sample cannot be opened" in done.stdout
    assert "broken.png" in done.stdout
    assert "unite data check" in done.stdout


def test_under_a_launcher_the_first_process_speaks_and_counts_all(
    unite: Unite, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "debug", "-o", tmp_path / "run", f"--set=data.root={world}", "--dry-run"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert unite(*words).output == ""
    monkeypatch.setenv("RANK", "0")
    assert "processes: 2" in unite(*words).stdout


def test_json_without_a_dry_run_is_wrong_usage(unite: Unite, tmp_path: Path) -> None:
    assert unite("train", "debug", "-o", tmp_path / "run", "--json").exit_code == 2


def launched(command: list[str], run: Path, world: Path) -> None:
    """Train the debug recipe under a launcher, with two processes on the CPU."""
    words = ["-m", "unite.cli.main", "train", "debug", "-o", str(run), f"--set=data.root={world}"]
    done = subprocess.run(
        [sys.executable, "-m", *command, *words], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == str(run / "model")
    assert {path.name for path in run.glob("checkpoint-4/rng_state_*")} == {
        "rng_state_0.pth", "rng_state_1.pth",
    }  # fmt: skip


@pytest.mark.slow
def test_torchrun_and_accelerate_train_the_same_model(world: Path, tmp_path: Path) -> None:
    launched(["torch.distributed.run", "--nproc-per-node", "2"], tmp_path / "torchrun", world)
    accelerate = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launched(
        [*accelerate, "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"],
        tmp_path / "accelerate",
        world,
    )
    one, two = (
        load_file(tmp_path / name / "model" / "model.safetensors")
        for name in ("torchrun", "accelerate")
    )
    assert all(bool((tensor == two[name]).all()) for name, tensor in one.items())


@pytest.mark.slow
def test_two_nodes_meet_by_c10d(world: Path, tmp_path: Path) -> None:
    from socket import socket

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-m", "unite.cli.main", "train", "debug", "-o", str(tmp_path / "run")]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "debug",
        *words, f"--set=data.root={world}",
    ]  # fmt: skip
    nodes = [subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) for _ in "ab"]
    assert [node.wait(timeout=200) for node in nodes] == [0, 0]
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
