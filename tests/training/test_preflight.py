"""All that would stop a run, found at once and without a network."""

import shutil
from pathlib import Path

import pytest

from unite.errors import CheckpointError
from unite.model.checkpoint import save_model
from unite.model.config import BackboneConfig
from unite.training import preflight
from unite.training.preflight import FACTS, find_problems, start_of
from unite.training.recipe_files import load_recipe
from unite.training.stages import starting_model, train


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache of the hub; whoever asks the network fails."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", None)


@pytest.fixture
def model(changes: list[str], tmp_path: Path) -> Path:
    save_model(starting_model(load_recipe("debug", changes)), tmp_path / "model")
    return tmp_path / "model"


def test_a_recipe_whose_parts_are_there_has_no_problems(changes: list[str], tmp_path: Path) -> None:
    assert find_problems(load_recipe("debug", changes), tmp_path / "run", resume=False) == []
    assert not (tmp_path / "run").exists()


def test_all_problems_are_told_at_once(small_world: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(f"""
stage = "retrieval-adaptation"
model.start = "{tmp_path}/nowhere"
optimiser = {{ epochs = 1 }}
run.trackers = ["tensorbord", "tensorboard"]
[data]
root = "{small_world}"
[data.sources]
fine = "train/tt.json"
gone = "train/gone.json"
unused = "train/also_gone.json"
empty = {{ path = "images", kind = "unite" }}
hub = {{ path = "owner/set", kind = "hf" }}
bare = {{ path = "train/ti_fine.json", media = "nowhere" }}
[data.weights]
unused = 0
""")
    found = find_problems(load_recipe(str(tmp_path / "recipe.toml")), tmp_path, resume=False)
    for part in ("gone.json", "metadata.json", "downloads nothing"):
        assert any(part in problem for problem in found), part
    assert any("'bare'" in problem and "nowhere" in problem for problem in found)
    assert any("'tensorbord'" in problem and "tensorboard" in problem for problem in found)
    assert any("There is no model" in problem for problem in found)
    assert not any("also_gone" in problem or "'fine'" in problem for problem in found)
    assert len(found) == 6


def test_a_missing_root_is_one_problem(changes: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("debug", [*changes, f"data.root={tmp_path / 'no'}"])
    (problem,) = find_problems(recipe, tmp_path, resume=False)
    assert "data.root" in problem


def test_a_tracker_that_is_not_installed_is_named(
    changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "transformers.integrations.integration_utils.get_available_reporting_integrations"
    monkeypatch.setattr(name, lambda: ["tensorboard"])
    recipe = load_recipe("debug", [*changes, 'run.trackers=["wandb"]'])
    (problem,) = find_problems(recipe, tmp_path, resume=False)
    assert "'wandb' is not installed" in problem


@pytest.mark.filterwarnings("ignore::Warning")  # of the trainer's own libraries
def test_a_taken_directory_is_a_problem_unless_the_run_goes_on(
    changes: list[str], tmp_path: Path
) -> None:
    recipe = load_recipe("debug", [*changes, "optimiser.steps=1"])
    train(recipe, tmp_path / "run")
    (problem,) = find_problems(recipe, tmp_path / "run", resume=False)
    assert "already holds a run" in problem
    assert find_problems(recipe, tmp_path / "run", resume=True) == []
    other = load_recipe("debug", [*changes, "optimiser.steps=2"])
    (problem,) = find_problems(other, tmp_path / "run", resume=True)
    assert "another recipe" in problem


def test_random_weights_have_the_shapes_that_they_get(changes: list[str]) -> None:
    recipe = load_recipe("debug", changes)
    start, real = start_of(recipe), starting_model(recipe)
    assert start.place == "scratch"
    assert start.policy == real.policy
    assert isinstance(start.config, BackboneConfig)
    assert isinstance(real.encoder.config, BackboneConfig)
    assert start.config.vision == real.encoder.config.vision
    assert (start.config.width, start.config.depth) == (
        real.encoder.config.width,
        real.encoder.config.depth,
    )


def test_a_directory_is_read_without_its_weights(
    model: Path, changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetensors.safe_open", None)
    recipe = load_recipe("debug", [*changes[:1], f"model.start={model}"])
    start = start_of(recipe)
    assert (start.place, start.directory) == ("here", model)
    assert isinstance(start.config, BackboneConfig)
    assert start.config.width == 32


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_directory_that_lacks_a_file_is_a_problem(
    model: Path, changes: list[str], tmp_path: Path, name: str
) -> None:
    (model / name).unlink()
    recipe = load_recipe("debug", [*changes[:1], f"model.start={model}"])
    (problem,) = find_problems(recipe, tmp_path / "run", resume=False)
    assert name in problem


def test_a_hub_id_that_is_not_here_is_no_problem_and_its_shapes_are_known() -> None:
    for name, key in (
        ("Qwen/Qwen2-VL-2B-Instruct", "Qwen2-VL-2B"),
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen2-VL-7B"),
        ("instruct-7b", "Qwen2-VL-7B"),
    ):
        start = preflight._named(name)
        assert (start.place, start.config) == ("hub", FACTS[key])
    unknown = preflight._named("somebody/something")
    assert (unknown.place, unknown.config) == ("hub", None)


def test_a_hub_id_in_the_cache_is_here(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hub" / "models--owner--name"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    shutil.copytree(model, cache / "snapshots" / ("0" * 40))
    assert preflight._named("owner/name").place == "here"


@pytest.mark.parametrize("name", ["stage1-2b/model", "/nowhere/model", "./x", "a b/c"])
def test_what_is_neither_here_nor_a_hub_id_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError):
        preflight._named(name)
