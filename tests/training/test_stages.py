"""Whole stages with real files and processes: what a run leaves, and that nothing changes it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tests.disk import limited
from tests.model.test_later_qwen import LATER, tiny
from tests.training.not_finite import spoilt

from unite.data.mixture import Plan
from unite.errors import CheckpointError, DataError, RecipeError, TrainingError
from unite.model.checkpoint import load_model, save_model
from unite.training.chunked import ChunkedStep
from unite.training.recipe import Recipe, sources_of
from unite.training.recipe_files import load_recipe
from unite.training.stages import (
    compares_modalities,
    plan_run,
    read_store,
    starting_model,
    train,
)

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # of the trainer's own libraries


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far apart two models are, all weights as one vector."""
    return float(torch.cat([(one[name] - other[name]).flatten() for name in one]).norm())


def last_step(run: Path) -> int:
    """Of the run's newest checkpoint."""
    return max(int(path.name.removeprefix("checkpoint-")) for path in run.glob("checkpoint-*"))


@pytest.fixture(scope="module")
def unbroken(changes: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "stage1"
    train(load_recipe("small-stage1", changes), run)
    return run


def command(recipe: str, run: Path, changes: list[str], *more: str) -> list[str]:
    words = [recipe, "-o", str(run), *(f"--set={change}" for change in changes), *more]
    return [sys.executable, "-m", "unite.cli.main", "train", *words]


def test_a_run_leaves_all_that_explains_it(unbroken: Path) -> None:
    recipe = json.loads((unbroken / "recipe.json").read_text())
    assert recipe["optimiser"]["steps"] == 6
    run = json.loads((unbroken / "run.json").read_text())
    assert run["data"]["examples"] == 6 * 16
    assert sum(run["data"]["sources"].values()) == 6 * 16
    assert sum(run["data"]["modality_pairs"].values()) == 6 * 16
    assert set(run["data"]["modality_pairs"]) == {"text→text", "text→image", "text→video"}
    assert run["data"]["rows_left_out"] == 0
    card = (unbroken / "model" / "README.md").read_text()
    for part in ("| ti_fine |", "| text→video |", "Seed 0", f"torch {torch.__version__}", "steps"):
        assert part in card, part
    assert run["versions"]["torch"] == torch.__version__
    lines = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 6]
    assert set(lines[0]["pairs"]) == {"all", "text→text", "text→image", "text→video"}
    assert list((unbroken / "runs").rglob("events.out.tfevents*"))


def test_only_whole_checkpoints_stay_and_at_most_two(unbroken: Path) -> None:
    names = {path.name for path in unbroken.glob("checkpoint-*")}
    assert names == {"checkpoint-4", "checkpoint-6"}
    assert not (unbroken / ".partial").exists()


def test_training_moves_every_part(unbroken: Path, changes: list[str]) -> None:
    before = starting_model(load_recipe("small-stage1", changes)).encoder.state_dict()
    after = weights(unbroken)
    assert set(before) == set(after)
    still = [name for name, tensor in after.items() if torch.equal(tensor, before[name])]
    assert not still


def test_the_same_recipe_gives_the_same_weights(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    train(load_recipe("small-stage1", changes), tmp_path / "again")
    again = weights(tmp_path / "again")
    assert all(torch.equal(tensor, again[name]) for name, tensor in weights(unbroken).items())


def kill_when(run: Path, sign: str, changes: list[str]) -> None:
    """Start or go on with a run and kill it as soon as a file or folder of it is there."""
    child = subprocess.Popen(
        command("small-stage1", run, changes, "--resume"), env={**os.environ, "RANK": "0"}
    )
    deadline = time.monotonic() + 300
    while not list(run.glob(sign)) and time.monotonic() < deadline:
        assert child.poll() is None, "the run ended before it could be killed"
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()


# While a checkpoint is being written, at its first file and amid it; after one; before training.
SIGNS = [".partial/*", ".partial/*/optimizer.pt", "checkpoint-2", "pairs/*"]


@pytest.mark.parametrize(
    "sign", [SIGNS[0], *(pytest.param(sign, marks=pytest.mark.slow) for sign in SIGNS[1:])]
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(
    unbroken: Path, changes: list[str], tmp_path: Path, sign: str
) -> None:
    run = tmp_path / "killed"
    kill_when(run, sign, changes)
    assert not (run / "model").exists()
    train(load_recipe("small-stage1", changes), run, resume=True)
    resumed = weights(run)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in weights(unbroken).items())


CHUNKED = [
    "data.keep_decoded=false", "run.chunk_tokens=500", "run.workers=1", "run.keep_bytes=60000",
    "optimiser.accumulation=2", "optimiser.muon_learning_rate=0",
    "loss.temperature_bounds=[0.01, 0.2]",
]  # fmt: skip


@pytest.mark.slow
def test_a_chunked_run_that_was_killed_resumes_to_the_same_weights(
    changes: list[str], tmp_path: Path
) -> None:
    """Workers, accumulated batches and a learned temperature among them."""
    more = [*changes, *CHUNKED]
    train(load_recipe("small-stage1", more), tmp_path / "whole")
    kill_when(tmp_path / "killed", "checkpoint-2", more)
    train(load_recipe("small-stage1", more), tmp_path / "killed", resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    learned = [
        load_file(tmp_path / run / "checkpoint-6" / "trained.safetensors")["log_temperature"]
        for run in ("whole", "killed")
    ]
    assert learned[0] == learned[1] != torch.tensor(0.03, dtype=torch.float64).log()


def test_chunks_and_processes_change_what_is_learned_by_rounding_only(
    changes: list[str], tmp_path: Path
) -> None:
    plain = [*changes, "optimiser.accumulation=2"]
    train(load_recipe("small-stage1", plain), tmp_path / "plain")
    more = [*changes, "optimiser.accumulation=2", "data.keep_decoded=false"]
    more += ["run.chunk_tokens=300", "run.processes=2", "run.threads=1"]
    done = subprocess.run(
        command("small-stage1", tmp_path / "chunked", more), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    start = starting_model(load_recipe("small-stage1", changes)).encoder.state_dict()
    one, two = weights(tmp_path / "plain"), weights(tmp_path / "chunked")
    assert distance(one, two) < 0.05 * distance(one, start)


def test_bad_samples_are_reported_and_the_plans_next_of_their_kind_come_instead(
    small_world: Path, changes: list[str], tmp_path: Path
) -> None:
    rows = json.loads((small_world / "train" / "ti_fine.json").read_text())
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    for row in rows:
        row["candidate"]["image"] = str(small_world / "train" / row["candidate"]["image"])
    for number in (1, 5):
        rows[number]["candidate"]["image"] = str(broken)
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    more = [
        *changes, f'data.sources={{pairs="{tmp_path / "pairs.json"}"}}', "data.weights={}",
        "data.keep_decoded=false", "optimiser.steps=3", "data.max_bad_share=0.1",
    ]  # fmt: skip
    run = tmp_path / "run"
    train(load_recipe("small-stage1", more), run)
    lines = [json.loads(line) for line in (run / "bad_samples-0.jsonl").read_text().splitlines()]
    assert {line["row"] for line in lines} <= {1, 5}
    assert lines
    for line in lines:
        assert line["source"] == "pairs"
        assert "broken.png" in line["reason"]
        assert line["filled_by"] not in (1, 5, None)
    counted = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert counted
    with pytest.raises(DataError, match=r"at most 0\.0% may be bad"):
        train(load_recipe("small-stage1", [*more, "data.max_bad_share=0"]), tmp_path / "strict")


@pytest.mark.parametrize(("what", "more"), [
    ("loss", []),
    ("gradient", ["optimiser.max_grad_norm=0"]),
    ("gradient", ["data.keep_decoded=false", "run.chunk_tokens=500"]),
])  # fmt: skip
def test_a_step_that_is_not_finite_ends_the_run_and_spoils_no_checkpoint(
    changes: list[str], tmp_path: Path, what: str, more: list[str]
) -> None:
    recipe = load_recipe("small-stage1", [*changes, "run.save_every=1", "run.log_every=1", *more])
    with pytest.raises(TrainingError, match=rf"{what} of step 3 is not a finite.*--resume"):
        train(recipe, tmp_path, objective=spoilt(what, 3))
    assert last_step(tmp_path) == 2
    saved = load_file(tmp_path / "checkpoint-2" / "trained.safetensors")
    assert all(bool(part.isfinite().all()) for part in saved.values())
    assert not (tmp_path / "model").exists()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_all_processes_end_where_the_loss_of_one_is_not_finite(
    changes: list[str], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [sys.executable, "-m", "tests.training.not_finite", str(tmp_path / "run"), *changes]
    children = [
        subprocess.Popen(
            words, env={**shared, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE
        )
        for rank in "01"
    ]
    said = [child.communicate(timeout=300)[1].decode() for child in children]
    assert [child.returncode for child in children] == [1, 1], said
    assert all("loss of step 1 is not a finite number" in text for text in said), said


def test_visual_tokens_on_disk_give_the_same_weights(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    more = [part for part in changes if "scratch" not in part]
    more += [f"model.start={unbroken / 'model'}", "model.lora={rank=4, alpha=8, dropout=0.1}"]
    more += ["data.keep_decoded=false", "optimiser.steps=2"]
    found = []
    for name in ("none", "filling", "full"):
        cache = [] if name == "none" else [f"data.vision_cache={tmp_path / 'cache'}"]
        train(load_recipe("small-stage2", [*more, *cache]), tmp_path / name)
        found.append(weights(tmp_path / name))
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    # Media that are not in the cache yet are computed in smaller batches: rounding.
    for other in found[1:]:
        assert distance(other, found[0]) < 1e-3 * distance(found[0], weights(unbroken))


def test_the_released_update_is_reproduced(
    unbroken: Path, changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradient over processes, clipped at 1, AdamW's epsilon 1e-8: the same as ours at both times 8."""
    more = [part for part in changes if "scratch" not in part]
    more += [f"model.start={unbroken / 'model'}", "optimiser.steps=1", "optimiser.warmup=0"]
    more += ["optimiser.epsilon=1e-5"]
    recipe = load_recipe("small-stage2", more)
    found, run = [], ChunkedStep.run
    for released in (8, None):
        changed = {"muon_learning_rate": 0.0, "released_processes": released}
        optimiser = recipe.optimiser.model_copy(update=changed)
        if released is None:

            def divided(self: ChunkedStep, *args: Any, scale: float) -> torch.Tensor:
                return run(self, *args, scale=scale / 8)

            monkeypatch.setattr(ChunkedStep, "run", divided)
        train(recipe.model_copy(update={"optimiser": optimiser}), tmp_path / str(released))
        found.append(weights(tmp_path / str(released)))
    start = weights(unbroken)
    assert distance(*found) < 1e-5 * distance(found[0], start)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "two"
    more = [*changes, "run.processes=2", "run.threads=1"]
    done = subprocess.run(command("small-stage1", run, more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = weights(unbroken), weights(run)
    start = starting_model(load_recipe("small-stage1", changes)).encoder.state_dict()
    assert distance(one, two) < 0.05 * distance(one, start)  # AdamW divides small by small
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4


def test_a_run_is_never_overwritten_or_mixed(unbroken: Path, changes: list[str]) -> None:
    recipe = load_recipe("small-stage1", changes)
    with pytest.raises(RecipeError, match="already holds a run"):
        train(recipe, unbroken)
    other = load_recipe("small-stage1", [*changes, "optimiser.seed=5"])
    with pytest.raises(RecipeError, match="another recipe"):
        train(other, unbroken, resume=True)
    assert train(recipe, unbroken, resume=True) == unbroken / "model"


def test_a_run_does_not_go_on_with_other_data(
    small_world: Path, changes: list[str], tmp_path: Path
) -> None:
    rows = json.loads((small_world / "train" / "tt.json").read_text())
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps(rows))
    more = [*changes, f'data.sources={{tt="{pairs}"}}', "data.weights={}"]
    run = tmp_path / "run"
    train(load_recipe("small-stage1", more), run)
    shutil.rmtree(run / "model")  # as if it had been killed before the end
    pairs.write_text(json.dumps(rows[1:]))
    with pytest.raises(RecipeError, match="data have changed"):
        train(load_recipe("small-stage1", more), run, resume=True)
    pairs.write_text(json.dumps(rows))
    assert train(load_recipe("small-stage1", more), run, resume=True).exists()


def test_a_directory_is_of_one_process_at_a_time(unbroken: Path, changes: list[str]) -> None:
    recipe = load_recipe("small-stage1", changes)
    with (
        FileLock(unbroken / "run.lock"),
        pytest.raises(RecipeError, match=r"Another process is training.*--resume"),
    ):
        train(recipe, unbroken, resume=True)
    assert train(recipe, unbroken, resume=True).exists()


@pytest.mark.parametrize("file", ["trained.safetensors", "optimizer.pt"])
def test_a_run_goes_on_after_a_full_disk_saving_as_often_as_it_is_told_now(
    unbroken: Path, changes: list[str], tmp_path: Path, file: str
) -> None:
    """The disk fills while a file of a checkpoint is written, and within a line of metrics."""
    run = tmp_path / "run"
    size = (unbroken / "checkpoint-6" / file).stat().st_size
    with limited(size - 1000), pytest.raises(TrainingError, match=r"step 2 cannot be .*--resume"):
        train(load_recipe("small-stage1", changes), run)
    assert not [*run.glob("checkpoint-*"), *run.glob(".partial")]
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    now = [*changes, "run.save_every=3", "run.log_every=1"]
    train(load_recipe("small-stage1", now), run, resume=True)
    assert all(torch.equal(part, weights(run)[name]) for name, part in weights(unbroken).items())
    assert last_step(run) == 6


def test_another_fault_while_a_checkpoint_is_saved_is_no_full_disk(
    changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Tensors must have same number of dimensions")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        train(load_recipe("small-stage1", changes), tmp_path)


def test_a_resumed_run_saves_and_logs_as_it_is_told_now(changes: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = load_recipe("small-stage1", [*changes, "run.save_every=3", "run.log_every=6"])
    with pytest.raises(TrainingError, match="step 4"):
        train(few, run, objective=spoilt("loss", 4))
    often = load_recipe("small-stage1", [*changes, "run.save_every=1", "run.log_every=1"])
    train(often, run, resume=True)
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-5", "checkpoint-6"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 5, 6, 6]


def own(folder: Path, changes: list[str], *more: str, **rows: list[dict[str, Any]]) -> Recipe:
    """A recipe of pair files with these rows."""
    for name, held in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(held))
    told = ", ".join(f'{name} = "{folder / name}.json"' for name in rows)
    return load_recipe(
        "small-stage1", [*changes, f"data.sources={{ {told} }}", "data.weights={}", *more]
    )


def pairs_to(target: dict[str, str], count: int) -> list[dict[str, Any]]:
    return [{"query": {"text": f"query {n}"}, "candidate": target} for n in range(count)]


def plan_of(recipe: Recipe, folder: Path) -> Plan:
    return plan_run(recipe, read_store(sources_of(recipe), folder, recipe, lambda *_: None))


def test_a_source_without_a_single_pair_is_named_however_few_its_rows(
    changes: list[str], tmp_path: Path
) -> None:
    good, bad = pairs_to({"text": "t"}, 400), [{"query": {"text": "a"}}]
    with pytest.raises(DataError, match=r"No row of the source 'bad'.*row 1: .*candidate"):
        plan_of(own(tmp_path, changes, good=good, bad=bad), tmp_path)
    mended = own(tmp_path, changes, good=good, bad=[*bad, good[0]])
    assert plan_of(mended, tmp_path).sources["good"] > 0


@pytest.mark.parametrize(("weight", "steps"), [("1", 12), ("0.5", 12), ("0", 6)])
def test_an_epoch_is_of_the_rows_that_may_be_drawn(
    changes: list[str], tmp_path: Path, weight: str, steps: int
) -> None:
    rows = {"a": pairs_to({"text": "t"}, 96), "b": pairs_to({"image": "i.png"}, 96)}
    epoch = ["optimiser.epochs=1", f"data.modality_weights={{'text→image'={weight}}}"]
    plan = plan_of(own(tmp_path, changes, *epoch, **rows), tmp_path)
    assert len(plan.rows) == steps
    if weight == "0":
        assert sorted(plan.rows.ravel()) == list(range(96))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], True),
        (["data.g_min=4"], True),
        (["loss.masked=true"], False),
        (["loss.masked=true", "loss.blend=0.1"], True),
        (["data.batches=single-modality"], False),
        (["data.batches=single-source"], False),
        (["data.batches=alternating"], True),
        (["data.modality_weights={'text→image'=0}"], False),
    ],
)
def test_a_mixed_gallery_needs_modalities_that_met_in_training(
    changes: list[str], tmp_path: Path, more: list[str], expected: bool
) -> None:
    rows = {"a": pairs_to({"text": "t"}, 40), "b": pairs_to({"image": "i.png"}, 40)}
    recipe = own(tmp_path, changes, *more, **rows)
    assert compares_modalities(recipe, plan_of(recipe, tmp_path)) is expected


def test_more_processes_than_pairs_are_refused(
    changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "17")
    with pytest.raises(RecipeError, match="17 processes cannot share batches of 16"):
        train(load_recipe("small-stage1", changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_stage_two_goes_on_from_stage_one_with_the_mask(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    more = [part for part in changes if "scratch" not in part]
    recipe = load_recipe("small-stage2", [*more, f"model.start={unbroken / 'model'}"])
    finished = train(recipe, tmp_path / "stage2")
    model = load_model(str(finished))
    assert model.policy.mixed_gallery is False
    assert load_model(str(unbroken / "model")).policy.mixed_gallery is True
    targets = {
        name
        for line in (tmp_path / "stage2" / "metrics.jsonl").read_text().splitlines()
        for name in json.loads(line)["pairs"]
    }
    assert {name.partition("→")[2] for name in targets - {"all"}} == {
        "text", "image", "video", "text+image",
    }  # fmt: skip


def test_adapters_touch_the_language_model_alone_and_are_merged(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    more = [part for part in changes if "scratch" not in part]
    start = unbroken / "model"
    recipe = load_recipe(
        "small-stage2", [*more, f"model.start={start}", "model.lora={rank=4, alpha=8, dropout=0.1}"]
    )
    train(recipe, tmp_path / "lora")
    before, after = weights(unbroken), weights(tmp_path / "lora")
    assert set(before) == set(after)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith("model.layers.") and "_proj.weight" in name for name in moved)
    kinds = {name.split(".")[4] for name in moved}
    assert kinds == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip


def test_adapters_on_a_bf16_model_are_saved_without_rounding(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    more = [part for part in changes if "scratch" not in part]
    more += [f"model.start={unbroken / 'model'}", "model.dtype=bfloat16", "optimiser.steps=2"]
    recipe = load_recipe("small-stage2", [*more, "model.lora={rank=4, alpha=8}"])
    train(recipe, tmp_path)
    learned = load_file(tmp_path / "checkpoint-2" / "trained.safetensors")
    start = starting_model(recipe).encoder.state_dict()
    for name, found in weights(tmp_path).items():
        wanted = start[name].float()
        a_RI = learned.get(name.replace(".weight", ".lora_A.default.weight"))
        if a_RI is not None:
            b_OR = learned[name.replace(".weight", ".lora_B.default.weight")]
            wanted += 8 / 4 * (b_OR @ a_RI)
            assert not torch.equal(wanted, wanted.bfloat16().float())
        assert torch.equal(found, wanted), name


def test_a_run_does_not_go_on_from_another_start(
    unbroken: Path, changes: list[str], tmp_path: Path
) -> None:
    start, run = tmp_path / "start", tmp_path / "run"
    shutil.copytree(unbroken / "model", start)
    more = [part for part in changes if "scratch" not in part]
    more += [f"model.start={start}", "model.lora={rank=4, alpha=8}", "optimiser.steps=2"]
    recipe = load_recipe("small-stage2", more)
    train(recipe, run)
    facts = json.loads((run / "run.json").read_text())
    assert facts["start"] == load_model(str(start)).id
    moved = tmp_path / "elsewhere"
    shutil.copytree(start, moved)
    there = load_recipe("small-stage2", [*more, f"model.start={moved}"])
    with pytest.raises(RecipeError, match="another recipe"):
        train(there, run, resume=True)  # what is finished is not looked into
    learned = weights(run)
    shutil.rmtree(run / "model")  # as if it had been killed before the end
    train(there, run, resume=True)
    assert all(torch.equal(found, learned[name]) for name, found in weights(run).items())
    shutil.rmtree(run / "model")
    other = load_model(str(start))
    with torch.no_grad():
        next(other.encoder.parameters()).mul_(2)
    save_model(other, start)
    with pytest.raises(RecipeError, match="began with has changed"):
        train(recipe, run, resume=True)
    assert json.loads((run / "run.json").read_text()) == facts
    (run / "run.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "start"}))
    assert train(recipe, run, resume=True).exists()  # an older run does not say


@pytest.mark.parametrize("name", ["tensorbord", "wandb"])
def test_a_tracker_that_is_not_there_is_named_before_anything_begins(
    changes: list[str], tmp_path: Path, name: str
) -> None:
    recipe = load_recipe("small-stage1", [*changes, f'run.trackers=["{name}"]'])
    with pytest.raises(RecipeError, match=name):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_source_or_start_is_named(changes: list[str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"tt\.jsn"):
        train(
            load_recipe("small-stage1", [*changes, 'data.sources={tt="train/tt.jsn"}',
                                         "data.weights={tt=1}"]),
            tmp_path / "a",
        )  # fmt: skip
    more = [part for part in changes if "scratch" not in part]
    with pytest.raises(CheckpointError, match="nowhere"):
        train(load_recipe("small-stage2", [*more, "model.start=nowhere"]), tmp_path / "b")


def test_a_broken_medium_stops_the_run_before_it_begins(
    small_world: Path, changes: list[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((small_world / "images" / "train-000000.png").read_bytes()[:200])
    pairs = [{"query": {"text": "a red star"}, "candidate": {"image": str(broken)}}]
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    recipe = load_recipe(
        "small-stage1",
        [
            *changes,
            f'data.sources={{pairs="{tmp_path / "pairs.json"}"}}',
            "data.weights={pairs=1}",
        ],
    )
    with pytest.raises(DataError, match=r"broken\.png"):
        train(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    "kind", [LATER[-1], *(pytest.param(kind, marks=pytest.mark.slow) for kind in LATER[:-1])]
)
def test_a_later_backbone_is_trained_like_the_others(
    kind: str, changes: list[str], tmp_path: Path
) -> None:
    start = tmp_path / "start"
    save_model(tiny(kind), start)
    more = [part for part in changes if "scratch" not in part]
    more += ["optimiser.steps=2", "model.lora={rank=2, alpha=4, dropout=0.1}"]
    recipe = load_recipe("small-stage2", [*more, f"model.start={start}"])
    finished = train(recipe, tmp_path / "run")
    before, after = load_file(start / "model.safetensors"), weights(tmp_path / "run")
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert len(moved) == 2 * 7
    assert not any(name.startswith("visual.") for name in moved)
    assert load_model(str(finished)).policy.positions == "mrope"


def test_positions_and_pooling_are_the_recipes_and_stay_with_the_model(
    changes: list[str], tmp_path: Path
) -> None:
    short = [*changes, "optimiser.steps=2"]
    chosen = [*short, "model.positions=mrope", "model.pooling=mean"]
    first = train(load_recipe("small-stage1", chosen), tmp_path / "one")
    plain = load_model(str(train(load_recipe("small-stage1", short), tmp_path / "plain")))
    more = [part for part in short if "scratch" not in part]
    second = train(load_recipe("small-stage2", [*more, f"model.start={first}"]), tmp_path / "two")
    for path in (first, second):
        policy = load_model(str(path)).policy
        assert (policy.positions, policy.pooling) == ("mrope", "mean")
    assert (plain.policy.positions, plain.policy.pooling) == ("1d", "last")
