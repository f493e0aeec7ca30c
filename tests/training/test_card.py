from __future__ import annotations

import json
from pathlib import Path

import pytest

from unite.training.card import model_card
from unite.training.recipe_files import load_recipe

FACTS = {
    "seed": 3,
    "processes": 2,
    "versions": {"torch": "2.13.0"},
    "data": {
        "examples": 51200, "batches": 400, "digest": "ab" * 32, "rows": {"tt": 900},
        "sources": {"tt": 51200}, "modality_pairs": {"text→text": 51200},
    },
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text(json.dumps(FACTS))
    return tmp_path


def test_a_card_tells_of_data_figures_and_configuration(run: Path) -> None:
    lines = [
        {"step": 20, "pairs": {"all": {"loss": 0.25, "accuracy": 0.5}}},
        {"step": 20, "train_runtime": 9.0, "pairs": {}},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card = model_card(load_recipe("small-stage1"), run)
    for part in (
        "| tt | 900 | 51,200 |", "| text→text | 51,200 |", "| all | 0.25 | 0.5 |", "Step 20",
        "Seed 3, 2 processes", "torch 2.13.0", "InfoNCE (both directions)", '"batch_size": 128',
        "from random weights",
    ):  # fmt: skip
        assert part in card, part
    head = card.split("---")[1]
    assert "library_name: sentence-transformers" in head
    assert "base_model" not in head


def test_a_torn_line_of_metrics_costs_no_card(run: Path) -> None:
    whole = json.dumps({"step": 20, "pairs": {"all": {"loss": 0.25}}})
    (run / "metrics.jsonl").write_text(f'{whole}\n7\n{{"step": 40, "lo{{"step": 44}}\n{{"step": 60')
    assert "Step 20" in model_card(load_recipe("small-stage1"), run)


def test_a_run_that_logged_nothing_says_so(run: Path) -> None:
    card = model_card(load_recipe("small-stage2", ["model.start=owner/name"]), run)
    assert "None were logged." in card
    assert "base_model: owner/name" in card
    assert "MAMCL (query to candidate)" in card
