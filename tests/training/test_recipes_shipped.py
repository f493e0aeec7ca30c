"""The shipped recipes of the paper: their values, and that stage 2 changes only what it says."""

from pathlib import Path
from typing import Any

import pytest

from unite.training.recipe import Recipe
from unite.training.recipe_files import load_recipe, shipped

PAPER = [
    f"stage{stage}-{size}{machine}"
    for stage in (1, 2)
    for size in ("2b", "7b")
    for machine in ("", "-8gpu")
]
BATCHES = {
    "stage1-2b": 64 * 64, "stage1-7b": 64 * 16, "stage2-2b": 64 * 64, "stage2-7b": 64 * 16,
    "stage1-2b-8gpu": 8 * 64, "stage1-7b-8gpu": 8 * 16,
    "stage2-2b-8gpu": 8 * 64, "stage2-7b-8gpu": 8 * 64,  # so say the released scripts
}  # fmt: skip
MASKED_STAGE_1 = "stage1-7b-8gpu"


def flat(recipe: Recipe) -> dict[str, Any]:
    """Values by section and key; sources as they stand."""
    row = recipe.model_dump()
    found: dict[str, Any] = {"stage": row.pop("stage")}
    for section, part in row.items():
        for key, value in part.items():
            if key == "lora" and value is not None:
                found |= {f"model.lora.{name}": inner for name, inner in value.items()}
            else:
                found[f"{section}.{key}"] = value
    return found


def test_the_recipes_of_the_paper_are_there() -> None:
    assert set(PAPER) | {"debug", "small-stage1", "small-stage2"} <= set(shipped())


@pytest.mark.parametrize("name", PAPER)
def test_values_are_those_of_the_paper(name: str) -> None:
    values = flat(load_recipe(name))
    second = name.startswith("stage2")
    masked = second or name == MASKED_STAGE_1
    expected = {
        "stage": "instruction-tuning" if second else "retrieval-adaptation",
        "model.dtype": "bfloat16",
        "model.lora.rank": 8,
        "model.lora.alpha": 64 if second else 16,
        "model.lora.dropout": 0.05,
        "data.weights": {},
        "data.modality_weights": {},
        "data.batches": "mixed",
        "data.g_min": 0,
        "data.frames": None,  # the policy's own: 1 a second, 4 to 12
        "data.max_tokens": 2048,
        "loss.temperature": 0.03,
        "loss.temperature_bounds": None,
        "loss.masked": masked,
        "loss.symmetric": not masked,
        "loss.hard_negatives": False,
        "loss.blend": 0.0,
        "optimiser.learning_rate": 2e-5 if second else 1e-4,
        "optimiser.muon_learning_rate": 0,
        "optimiser.batch_size": BATCHES[name],
        "optimiser.steps": None,
        "optimiser.epochs": 1,
        "optimiser.accumulation": 1,
        "optimiser.warmup": 0.03,
        "optimiser.weight_decay": 0.0,
        "optimiser.max_grad_norm": 1.0,
        "optimiser.released_processes": None,
        "run.workers": 8,
        "run.save_every": 100,
        "run.gradient_checkpointing": False,
        "run.trackers": ("tensorboard",),
    }
    assert {key: values[key] for key in expected} == expected
    assert values["run.chunk_tokens"] > 2 * 2048 - 1  # a pair fits


@pytest.mark.parametrize("name", [name for name in PAPER if name.startswith("stage2")])
def test_stage_two_differs_from_stage_one_only_where_the_paper_says(name: str) -> None:
    one = name.replace("stage2", "stage1")
    first, second = flat(load_recipe(one)), flat(load_recipe(name))
    changed = {key: second[key] for key in first if first[key] != second[key]}
    expected = {
        "stage": "instruction-tuning",
        "model.start": f"{one}/model",
        "model.lora.alpha": 64,
        "data.sources": second["data.sources"],
        "loss.masked": True,
        "loss.symmetric": False,
        "optimiser.learning_rate": 2e-5,
    }
    if one == MASKED_STAGE_1:  # MAMCL already, and the released batches differ
        expected |= {"optimiser.batch_size": 512}
        expected = {
            key: v for key, v in expected.items() if key not in ("loss.masked", "loss.symmetric")
        }
    assert set(first) == set(second)
    assert changed == expected


@pytest.mark.parametrize("name", [name for name in PAPER if name.startswith("stage1")])
def test_stage_one_starts_from_the_backbone(name: str) -> None:
    size = "7B" if "7b" in name else "2B"
    assert load_recipe(name).model.start == f"Qwen/Qwen2-VL-{size}-Instruct"


@pytest.mark.parametrize("name", PAPER)
def test_each_stage_reads_its_released_sets_as_one(name: str) -> None:
    (source,) = load_recipe(name).data.sources.values()
    folder = "Base" if name.startswith("stage1") else "Instruct"
    assert (source.path, source.kind) == (Path(f"Unite-{folder}-Retrieval-Train"), "unite")
    assert source.subset is None


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_one_machine_starts_its_processes_and_of_many_leaves_them(name: str) -> None:
    assert load_recipe(name).run.processes == (8 if name.endswith("-8gpu") else 1)


def test_sizes_and_machines_differ_in_nothing_that_is_learned_but_batch_and_start() -> None:
    base = flat(load_recipe("stage1-2b"))
    for name, expected in {
        "stage1-7b": {"model.start", "optimiser.batch_size", "run.chunk_tokens"},
        "stage1-2b-8gpu": {"optimiser.batch_size", "run.processes"},
    }.items():
        other = flat(load_recipe(name))
        assert {key for key in base if base[key] != other[key]} == expected


def test_the_debug_recipe_is_the_small_worlds_in_a_few_steps() -> None:
    small, debug = load_recipe("small-stage1"), load_recipe("debug")
    assert debug.data.sources == small.data.sources
    assert debug.loss == small.loss
    assert debug.optimiser.steps is not None
    assert debug.optimiser.steps <= 4
    assert debug.run.chunk_tokens is not None
