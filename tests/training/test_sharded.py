"""Sharded training from start to model, with real processes; whole networks are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unite.errors import RecipeError
from unite.training.recipe_files import load_recipe
from unite.training.sharded import fill, make_whole, trained
from unite.training.stages import train
from unite.training.trainer import whole_checkpoints

CONFIG = """\
compute_environment: LOCAL_MACHINE
distributed_type: {kind}
mixed_precision: 'no'
use_cpu: true
num_machines: 1
num_processes: 2
"""
FSDP = """\
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_transformer_layer_cls_to_wrap: DecoderLayer
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: SHARDED_STATE_DICT
"""
SCRIPT = Path(__file__).with_name("fsdp_on_cpu.py")


def test_what_is_whole_is_left_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[1].requires_grad_(False)
    found = trained(network)
    assert set(found) == {"0.weight", "0.bias"}
    parts = dict(network.named_parameters())
    make_whole(network)
    assert all(part is parts[name] for name, part in network.named_parameters())
    fill(network, {"0.weight": torch.ones(3, 2)})
    assert torch.equal(network[0].weight, torch.ones(3, 2))
    assert torch.equal(network[0].bias, found["0.bias"])


def start(folder: Path, run: str, world: Path, kind: str, *more: str) -> subprocess.Popen[str]:
    config = folder / f"{kind}.yaml"
    config.write_text(CONFIG.format(kind=kind) + (FSDP if kind == "FSDP" else ""))
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config),
        str(SCRIPT), "train", "debug", "-o", str(folder / run), f"--set=data.root={world}",
        "--set=run.chunk_tokens=300", "--set=optimiser.steps=4", "--set=run.save_every=2",
        "--set=model.lora={rank=4, alpha=8, dropout=0.0}",
        "--set=optimiser.muon_learning_rate=0", *more,
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(command, text=True, env=env, start_new_session=True)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("optimiser.muon_learning_rate=0.01", "whole matrices"),
        ("loss.temperature_bounds=[0.01, 0.1]", "learned temperature"),
    ],
)
def test_what_cannot_be_sharded_is_refused(
    small_world: Path, tmp_path: Path, change: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    changes = [f"data.root={small_world}", "optimiser.muon_learning_rate=0", change]
    with pytest.raises(RecipeError, match=reason):
        train(load_recipe("debug", changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_a_sharded_run_gives_what_a_replicated_one_gives_and_resumes(
    small_world: Path, tmp_path: Path
) -> None:
    assert start(tmp_path, "ddp", small_world, "MULTI_CPU").wait(600) == 0
    assert start(tmp_path, "fsdp", small_world, "FSDP").wait(600) == 0
    one, other = weights(tmp_path / "ddp"), weights(tmp_path / "fsdp")
    for name, part in one.items():
        assert (other[name] - part).norm() <= 1e-5 * part.norm() + 1e-9, name
    killed = start(tmp_path, "killed", small_world, "FSDP")
    deadline = time.monotonic() + 600
    while not whole_checkpoints(tmp_path / "killed") and time.monotonic() < deadline:
        assert killed.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert start(tmp_path, "killed", small_world, "FSDP", "--resume").wait(600) == 0
    again = weights(tmp_path / "killed")
    assert all(torch.equal(part, again[name]) for name, part in other.items())
