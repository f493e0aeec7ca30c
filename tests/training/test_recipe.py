import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from unite.data.sources import Source
from unite.errors import RecipeError
from unite.training.recipe import OptimiserRecipe, Recipe, sources_of
from unite.training.recipe_files import load_recipe

ROOT = ["data.root=/somewhere"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("optimiser.steps=0", "steps"),
        ("loss.temperature=-1", "temperature"),
        ("loss.blend=2", "blend"),
        ("optimiser.batch_size=1", "at least run.processes"),
        ("optimiser.accumulation=0", "accumulation"),
        ("loss.temperature_bounds=[0.05, 0.1]", "not within"),
        ("loss.mask_by_query=true", "masked symmetric"),
        ("data.modality_weights={'text→sound'=1}", "sound"),
        ("data.modality_weights={'text→image'=-1}", "text→image"),
        ("optimiser.released_processes=8", "muon_learning_rate"),
        ("data.weights={nowhere=1}", "unknown source"),
        ("data.weights={tt=1}", "say nothing of"),
        ("model.dtype=bfloat16", "model.lora"),
        ('stage="other"', "not understood"),
        ("model.lora={rank=0}", r"model\.lora\.rank"),
        ("model.lora={dropout=1.0}", r"model\.lora\.dropout"),
        ("model.scratch.depth=0", r"model\.scratch\.depth"),
        ("model.scratch.heads=0", r"model\.scratch\.heads"),
        ("model.scratch.heads=5", "width must be a multiple of 2 heads"),
        ("model.scratch.kv_heads=3", "heads one of kv_heads"),
        ("model.scratch.vision_heads=32", "vision_width must be a multiple of 4 vision_heads"),
        ("model.scratch.nframes=0", r"model\.scratch\.nframes"),
        ("optimiser.learning_rate=inf", r"optimiser\.learning_rate.*finite"),
        ("optimiser.epsilon=0", r"optimiser\.epsilon"),
        ("optimiser.epochs=inf", r"optimiser\.epochs.*finite"),
        ("optimiser.seed=-1", r"optimiser\.seed"),
        ("optimiser.weight_decay=-1", r"optimiser\.weight_decay"),
        ("optimiser.max_grad_norm=-1", r"optimiser\.max_grad_norm"),
        ("loss.temperature=inf", r"loss\.temperature.*finite"),
        ("loss.temperature_bounds=[0.01, inf]", r"loss\.temperature_bounds.*finite"),
        ("data.weights={tt=inf}", r"data\.weights.*finite"),
        ("data.modality_weights={'text→image'=inf}", r"data\.modality_weights.*finite"),
        ("run.threads=0", r"run\.threads"),
    ],
)
def test_values_out_of_range_are_named(change: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("small-stage1", [*ROOT, change])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["run.chunk_tokens=100", "run.gradient_checkpointing=true"], "choose one"),
        (["data.g_min=4", "data.batches='single-source'"], "mixed batches"),
        (["data.g_min=16", "optimiser.batch_size=8"], "do not fit into"),
        (["data.keep_decoded=false", "data.vision_cache='x'"], "model.lora"),
        (["data.keep_decoded=true", "data.vision_cache='x'"], "both keep media"),
    ],
)
def test_values_that_do_not_go_together_are_named(changes: list[str], complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("small-stage1", [*ROOT, *changes])


def test_a_run_is_steps_or_epochs_long() -> None:
    recipe = load_recipe("small-stage1", [*ROOT, "optimiser.epochs=2"])
    assert recipe.optimiser.steps is None
    assert recipe.optimiser.length(1000) == 2000 // 128
    assert load_recipe("small-stage1", ROOT).optimiser.length(5) == 400
    accumulated = load_recipe(
        "small-stage1", [*ROOT, "optimiser.epochs=2", "optimiser.accumulation=3"]
    )
    assert accumulated.optimiser.length(1000) == 5
    with pytest.raises(RecipeError, match="do not fill one step"):
        recipe.optimiser.length(20)
    with pytest.raises(ValidationError, match="either steps or epochs"):
        OptimiserRecipe(learning_rate=1e-3)


def test_a_source_is_a_path_or_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "clips").mkdir()
    recipe = load_recipe(
        "small-stage1",
        [
            f"data.root={tmp_path}",
            'data.sources={a="a.json", b={path="clips", kind="folder", instruction="Find it."}}',
            "data.weights={}",
        ],
    )
    found = sources_of(recipe)
    assert found["a"] == Source(path=tmp_path / "a.json")
    assert found["b"] == Source(path=tmp_path / "clips", kind="folder", instruction="Find it.")


def test_a_source_of_no_weight_need_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    changes = [f"data.root={tmp_path}", 'data.sources={a="a.json", b="b.json"}']
    recipe = load_recipe("small-stage1", [*changes, "data.weights={b=0}"])
    assert list(sources_of(recipe)) == ["a"]


def test_a_pattern_of_shards_needs_no_kind(tmp_path: Path) -> None:
    changes = [f"data.root={tmp_path}", 'data.sources={s="big-{0..1}.tar"}', "data.weights={}"]
    assert sources_of(load_recipe("small-stage1", changes))["s"].path == tmp_path / "big-{0..1}.tar"


def test_a_model_starts_from_one_thing() -> None:
    with pytest.raises(RecipeError, match="either"):
        load_recipe("small-stage2", [*ROOT, "model.scratch.width=32"])


def test_no_clipping_is_a_setting_and_is_written_so_that_it_can_be_read() -> None:
    recipe = load_recipe("small-stage1", ["optimiser.max_grad_norm=inf"])
    assert recipe.optimiser.max_grad_norm == float("inf")
    assert Recipe.model_validate(json.loads(recipe.model_dump_json())) == recipe
    with pytest.raises(RecipeError, match="max_grad_norm"):
        load_recipe("small-stage1", ["optimiser.max_grad_norm=nan"])


def test_home_is_written_out_where_a_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    recipe = load_recipe(
        "small-stage1", ["data.root=~/data", "data.sources={a='~/pairs.jsonl'}", "data.weights={}"]
    )
    assert sources_of(recipe)["a"].path == tmp_path / "pairs.jsonl"
    assert recipe.data.place("visual") == tmp_path / "data" / "visual"
    assert recipe.data.root == Path("~/data")  # as it was said: a run goes on elsewhere too


def test_a_recipe_is_frozen() -> None:
    recipe = load_recipe("small-stage1", ROOT)
    with pytest.raises(ValueError, match="frozen"):
        recipe.stage = "instruction-tuning"
