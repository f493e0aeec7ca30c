"""Dry runs of real small worlds against what training then does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from unite.data.store import PairStore
from unite.model.cost import Costs
from unite.training.dry_run import dry_run
from unite.training.lengths import Ruler
from unite.training.preflight import start_of
from unite.training.recipe_files import load_recipe
from unite.training.stages import plan_run, train
from unite.types import Clip, Item, Modality, Pair

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # of the trainer's own libraries


def test_the_plan_is_the_runs_and_the_run_is_not_in_its_way(
    changes: list[str], tmp_path: Path
) -> None:
    recipe = load_recipe("debug", changes)
    found = dry_run(recipe, tmp_path / "run", processes=1)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"pairs"}
    store = (tmp_path / "run" / "pairs" / "store.json").read_bytes()
    train(recipe, tmp_path / "run")
    assert (tmp_path / "run" / "pairs" / "store.json").read_bytes() == store
    run = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert {name: use.examples for name, use in found.sources.items()} == run["sources"]
    assert {label: kind.examples for label, kind in found.kinds.items()} == run["modality_pairs"]
    assert {name: use.rows for name, use in found.sources.items()} == run["rows"]
    assert (found.steps, found.batch_size) == (6, 16)
    assert found.epochs == pytest.approx(6 * 16 / sum(run["rows"].values()))
    rows = [
        json.loads(line)["batch_negatives"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        if "batch_negatives" in line
    ]
    # Its own candidate counts here and not there, candidates of equal meaning the same.
    assert found.composition.negatives == 16
    assert all(15 - 1 < row <= 15 for row in rows)


def test_under_the_mask_composition_is_what_training_logs(
    changes: list[str], tmp_path: Path
) -> None:
    masked = ["loss.masked=true", "loss.symmetric=false", "run.log_every=6", "optimiser.steps=6"]
    recipe = load_recipe("debug", [*changes, *masked])
    found = dry_run(recipe, tmp_path / "run", processes=1)
    train(recipe, tmp_path / "run")
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    logged = line["batch_negatives"] + line["batch_duplicates"] + 1
    assert found.composition.negatives == pytest.approx(logged, abs=1e-3)
    assert found.composition.singletons / 16 <= line["batch_singletons"] + 1e-6


def test_lengths_are_near_the_real_ones(
    changes: list[str], small_world: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("debug", changes)
    found = dry_run(recipe, tmp_path / "run", processes=2)
    pairs = PairStore.open(tmp_path / "run" / "pairs")
    costs = Costs(start_of(recipe).policy)
    planned = plan_run(recipe, pairs).rows
    real = np.array(
        [[costs.pair(pairs[row], hard_negatives=False) for row in batch] for batch in planned]
    )
    assert found.load.tokens == pytest.approx(real.sum(1).mean(), rel=0.1)
    assert found.load.items == 2 * 16
    assert found.chunking.tokens == pytest.approx(real.sum(1).max() / 2, rel=0.25)
    assert found.chunking.largest <= 500
    assert found.chunking.chunks == pytest.approx(found.chunking.tokens / 500, abs=1)
    assert 0 < found.load.visual < found.load.tokens


def test_a_ruler_by_hand(small_world: Path) -> None:
    policy = start_of(load_recipe("debug")).policy
    picture = next(iter(sorted((small_world / "images").rglob("*.png"))))
    clip = next(iter(sorted((small_world / "videos").rglob("*.mp4"))))
    pair = Pair(
        query=Item(text="x" * 40), candidate=Item(images=(str(picture),), videos=(Clip(str(clip)),)),
        negatives=(Item(text=""),), target_modality=Modality.IMAGE, query_id="a",
        candidate_id="b", negative_ids=("c",), source="s",
    )  # fmt: skip
    items, tokens, visual, squares, slices = Ruler(policy, hard_negatives=True).pair(pair)
    text, both, bare = 24 + 10, 24 + 9 + 2 * 9, 24  # 84² pixels; four frames are two slices
    assert (items, tokens, visual) == (3, text + both + bare, 27)
    assert squares == text**2 + both**2 + bare**2
    assert slices == 3 * 36 * 36  # each of three slices, 36 patches
    assert Ruler(policy, hard_negatives=False).pair(pair)[0] == 2


@pytest.fixture
def broken(small_world: Path, tmp_path: Path) -> Path:
    """A world in which half of the coarse pictures and clips cannot be opened."""
    world = tmp_path / "broken"
    shutil.copytree(small_world, world)
    for name, key in (("ti_coarse", "image"), ("tv_coarse", "video")):
        rows = json.loads((world / "train" / f"{name}.json").read_text())
        for row in rows[::2]:
            (world / "train" / row["candidate"][key]).write_bytes(b"nothing of the kind")
    return world


def test_media_that_cannot_be_opened_are_named(
    broken: Path, changes: list[str], tmp_path: Path
) -> None:
    recipe = load_recipe("debug", [*changes, f"data.root={broken}", "optimiser.steps=15"])
    found = dry_run(recipe, tmp_path / "run", processes=1)
    suffixes = {Path(name).suffix for name in found.unreadable}
    assert suffixes == {".png", ".mp4"}
    assert all(Path(name).name in reason for name, reason in found.unreadable.items())


def test_quotas_show_in_the_composition(changes: list[str], tmp_path: Path) -> None:
    quota = ["data.g_min=4", "optimiser.steps=12", "loss.masked=true"]
    found = dry_run(load_recipe("debug", [*changes, *quota]), tmp_path / "run", processes=1)
    assert found.composition.singletons == 0
    assert found.composition.targets["text"].least == 0
    assert found.composition.targets["text"].most >= 4


def test_batches_of_one_modality_show_in_the_composition(
    changes: list[str], tmp_path: Path
) -> None:
    single = ["data.batches=single-modality", "optimiser.steps=12", "loss.masked=true"]
    found = dry_run(load_recipe("debug", [*changes, *single]), tmp_path / "run", processes=1)
    assert found.composition.negatives == 16
    assert all((rows.least, rows.most) == (0, 16) for rows in found.composition.targets.values())


def test_items_above_the_limit_are_counted(changes: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("debug", [*changes, "data.max_tokens=40"])
    found = dry_run(recipe, tmp_path / "run", processes=1)
    assert 0 < found.too_long < found.sampled * 2


def test_more_processes_have_less_to_do_each(changes: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("debug", changes)
    one, four = (dry_run(recipe, tmp_path / "run", processes=count) for count in (1, 4))
    assert four.load == one.load
    assert four.chunking.tokens < one.chunking.tokens / 2
    assert four.chunking.chunks < one.chunking.chunks


def test_it_is_json_and_the_same_every_time(changes: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("debug", changes)
    one, two = (dry_run(recipe, tmp_path / name, processes=2).to_json() for name in "ab")
    assert json.loads(json.dumps(one)) == json.loads(json.dumps(two))
    assert one["memory"]["total"] > 0
    assert one["start"] == {"name": "random weights", "place": "scratch"}


def test_shapes_that_are_not_known_give_a_plan_without_cost(
    changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe = load_recipe("debug", [*changes[:3], "model.start=somebody/something"])
    found = dry_run(recipe, tmp_path / "run", processes=1)
    assert (found.flops, found.memory) == (None, None)
    assert found.load.tokens > 0
