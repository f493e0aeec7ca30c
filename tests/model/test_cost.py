"""Guesses against what the preprocessor really makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from unite.model.checkpoint import load_model
from unite.model.cost import Costs
from unite.model.preprocess import Preprocessor
from unite.types import Clip, Item, Pair


def preprocessor(golden: Path) -> Preprocessor:
    model = load_model(str(golden / "checkpoint"))
    return Preprocessor(model.tokenizer, model.policy)


@pytest.mark.parametrize("name", ["photo_500x333.jpg", "small_120x90.png", "tall_300x900.png"])
def test_a_picture_costs_its_visual_tokens(golden: Path, name: str) -> None:
    prepare = preprocessor(golden)
    item = Item(images=(str(golden / "media" / name),))
    found = Costs(prepare.policy).item(item)
    grid = prepare.see(item.images[0]).grid
    assert found - Costs(prepare.policy).item(Item(text="")) == grid[0] * grid[1] * grid[2] // 4


@pytest.mark.parametrize("name", ["clip_2s_320x240_24fps.mp4", "clip_9s_640x360_30fps.mp4"])
def test_a_clip_costs_its_frames(golden: Path, name: str) -> None:
    prepare = preprocessor(golden)
    costs = Costs(prepare.policy)
    for clip in (Clip(str(golden / "media" / name)), Clip(str(golden / "media" / name), 0.0, 1.5)):
        grid = prepare.see(clip).grid
        expected = grid[0] * grid[1] * grid[2] // 4
        assert costs.item(Item(videos=(clip,))) - costs.item(Item(text="")) == expected


def test_a_picture_in_memory_costs_what_its_file_would(golden: Path) -> None:
    path = golden / "media" / "scene_640x480.png"
    costs = Costs(preprocessor(golden).policy)
    with Image.open(path) as image:
        assert costs.item(Item(images=(image,))) == costs.item(Item(images=(str(path),)))


def test_longer_texts_and_more_sides_cost_more(golden: Path) -> None:
    costs = Costs(preprocessor(golden).policy)
    short, long = Item(text="a dog"), Item(text="a dog " * 50, instruction="find it")
    assert costs.item(long) > costs.item(short) + 60
    pair = Pair(short, long, (long,), long.modality, "a", "b", ("c",), "s")
    both = costs.item(short) + costs.item(long)
    assert costs.pair(pair, hard_negatives=False) == both
    assert costs.pair(pair, hard_negatives=True) == both + costs.item(long)


def test_what_cannot_be_opened_is_guessed(golden: Path, tmp_path: Path) -> None:
    costs = Costs(preprocessor(golden).policy)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    picture = costs.item(Item(images=("nowhere.png",)))
    clip = costs.item(Item(videos=(Clip(str(tmp_path / "broken.mp4")),)))
    assert 256 <= picture < clip


def test_a_grid_that_is_known_is_not_looked_up(golden: Path) -> None:
    policy = preprocessor(golden).policy
    costs = Costs(policy, grid_of=lambda _: (2, 4, 6))
    assert costs.item(Item(images=("nowhere.png",))) - costs.item(Item(text="")) == 12


def test_half_a_surrogate_pair_costs_something(golden: Path) -> None:
    costs = Costs(preprocessor(golden).policy)
    assert costs.item(Item(text="bad \ud800 half")) >= costs.item(Item(text="bad"))
