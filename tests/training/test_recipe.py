import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from unite.data.sources import Source
from unite.errors import RecipeError
from unite.training.recipe import OptimiserRecipe, Recipe, load_recipe, shipped, sources_of

ROOT = ["data.root=/somewhere"]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_holds(name: str) -> None:
    assert isinstance(load_recipe(name, ROOT), Recipe)


def test_stage_two_says_only_what_differs_from_stage_one() -> None:
    first, second = load_recipe("small-stage1", ROOT), load_recipe("small-stage2", ROOT)
    assert second.optimiser.batch_size == first.optimiser.batch_size
    assert second.optimiser.warmup == first.optimiser.warmup
    assert second.loss.temperature == first.loss.temperature
    assert second.loss.masked
    assert not first.loss.masked
    assert second.model.scratch is None
    assert first.model.start is None


def test_an_unknown_key_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(RecipeError, match=r"optimiser\.learning_rat.*learning_rate"):
        load_recipe("small-stage1", [*ROOT, "optimiser.learning_rat=1"])
    with pytest.raises(RecipeError, match=r"model\.scratch\.widht.*width"):
        load_recipe("small-stage1", [*ROOT, "model.scratch.widht=1"])
    with pytest.raises(RecipeError, match=r"optimizer.*optimiser"):
        load_recipe("small-stage1", [*ROOT, "optimizer.steps=1"])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="small-stage1"):
        load_recipe("smal-stage1")
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe("nowhere.toml")


def test_changes_are_read_as_toml_and_else_as_text() -> None:
    recipe = load_recipe(
        "small-stage1",
        [*ROOT, "loss.masked=true", "optimiser.learning_rate=5e-4", "model.start=some/where"],
    )
    assert recipe.loss.masked is True
    assert recipe.optimiser.learning_rate == 5e-4
    assert recipe.model.start == "some/where"
    assert recipe.model.scratch is None


@pytest.mark.parametrize(
    "change", ["loss", "loss=1", "steps=3", "loss.masked.deep=1", "optimiser.steps"]
)
def test_a_change_that_is_none_is_explained(change: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe("small-stage1", [*ROOT, "loss.masked=true", change])


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


def test_a_file_extends_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'extends = "small-stage1"\n[data]\nroot = "here"\n[optimiser]\nsteps = 5\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[optimiser]\nseed = 9\n')
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.optimiser.steps, recipe.optimiser.seed) == (5, 9)
    assert recipe.data.root == Path("here")


def test_a_file_that_names_both_ways_is_refused_as_one_that_extends_nothing_is(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "small-stage1"\n[model]\nstart = "a"\n[model.scratch]\nwidth = 32\n')
    with pytest.raises(RecipeError, match="either"):
        load_recipe(str(mine))


def test_two_dots_lead_out_of_the_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "in", target_is_directory=True)
    (tmp_path / "real" / "base.toml").write_text('extends = "small-stage1"\n[data]\nroot = "r"\n')
    (tmp_path / "real" / "in" / "mine.toml").write_text('extends = "../base.toml"\n')
    assert load_recipe(str(tmp_path / "link" / "mine.toml")).data.root == Path("r")


def test_no_clipping_is_a_setting_and_is_written_so_that_it_can_be_read() -> None:
    recipe = load_recipe("small-stage1", ["optimiser.max_grad_norm=inf"])
    assert recipe.optimiser.max_grad_norm == float("inf")
    assert Recipe.model_validate(json.loads(recipe.model_dump_json())) == recipe
    with pytest.raises(RecipeError, match="max_grad_norm"):
        load_recipe("small-stage1", ["optimiser.max_grad_norm=nan"])


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "../x/a"]])
def test_recipes_that_extend_each_other_are_named(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for name, base in zip(names, [*names[1:], names[0]], strict=True):
        (folder / f"{name}.toml").write_text(f'extends = "{base}.toml"\n')
    with pytest.raises(RecipeError, match=r"extends itself.*a\.toml → .*a\.toml"):
        load_recipe(str(folder / "a.toml"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"extends = 5\n", "Name one recipe"),
        ("# für Proben\n".encode("latin-1"), "Save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=complaint):
        load_recipe(str(tmp_path / "mine.toml"))


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


def test_broken_toml_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[data\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(str(tmp_path / "broken.toml"))


def test_a_recipe_is_frozen() -> None:
    recipe = load_recipe("small-stage1", ROOT)
    with pytest.raises(ValueError, match="frozen"):
        recipe.stage = "instruction-tuning"
