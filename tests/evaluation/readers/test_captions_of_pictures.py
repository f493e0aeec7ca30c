"""ShareGPT4V-1K, Urban1K and DOCCI: one long caption a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.readers.conftest import Scored, ranks

from unite.evaluation import registry
from unite.evaluation.readers import sharegpt4v

# b lies nearer to 1 than to its own 2; 2 nearer to its own b.
ANGLES = {"1": 0.0, "2": 1.0, "a": -0.2, "b": 0.4}


def check(scored: Scored, name: str) -> None:
    found = scored(name, ANGLES)
    assert ranks(found[f"{name}/t2i"]) == [[1], [2]]
    assert ranks(found[f"{name}/i2t"]) == [[1], [1]]
    assert found[f"{name}/t2i"].score.main == 0.5


def test_sharegpt4v(tmp_path: Path, scored: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharegpt4v, "ROWS", 2)
    root = tmp_path / "sharegpt4v"
    (root / "coco" / "train2017").mkdir(parents=True)
    rows = [
        {"id": n, "image": f"coco/train2017/{n}.jpg", "conversations": [
            {"from": "human", "value": "What?"}, {"from": "gpt", "value": text}]}
        for n, text in (("1", "a"), ("2", "b"), ("3", "beyond the first rows"))
    ]  # fmt: skip
    path = root / "share-captioner_coco_lcs_sam_1246k_1107.json"
    path.write_text(json.dumps(rows))
    check(scored, "sharegpt4v")
    rows[0]["conversations"][1]["value"] = "two\nlines"
    path.write_text(json.dumps(rows))
    t2i, _ = registry.read(registry.benchmark_named("sharegpt4v"), tmp_path)
    assert t2i.queries[0].text == "two lines"


def test_urban1k(tmp_path: Path, scored: Scored) -> None:
    root = tmp_path / "Urban1k"
    for folder in ("image", "caption"):
        (root / folder).mkdir(parents=True)
    (root / "caption" / "1.txt").write_text("a\nnot read")
    (root / "caption" / "2.txt").write_text("b")
    check(scored, "urban1k")


def test_docci(tmp_path: Path, scored: Scored) -> None:
    root = tmp_path / "docci"
    (root / "images").mkdir(parents=True)
    rows = [
        {"image_file": "1.jpg", "description": "a", "split": "test"},
        {"image_file": "9.jpg", "description": "z", "split": "qual_test"},
        {"image_file": "2.jpg", "description": "b", "split": "test"},
    ]
    lines = "\n".join(map(json.dumps, rows))
    (root / "docci_descriptions.jsonlines").write_text(lines + "\n")
    check(scored, "docci")
