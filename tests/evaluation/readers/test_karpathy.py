from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.readers.conftest import Scored, ranks

from unite.errors import DataError
from unite.evaluation import registry


def sentences(*words: str) -> list[dict[str, object]]:
    return [{"raw": word, "tokens": [word]} for word in words]


def flickr(data: Path) -> None:
    root = data / "flickr30k"
    (root / "flickr30k-images").mkdir(parents=True)
    rows = [
        {"filename": "1.jpg", "split": "test", "sentences": sentences("a ", "b", "c", "d", "e", "f")},
        {"filename": "2.jpg", "split": "train", "sentences": sentences("z")},
        {"filename": "3.jpg", "split": "test", "sentences": sentences("g")},
    ]  # fmt: skip
    (root / "dataset_flickr30k.json").write_text(json.dumps({"images": rows, "dataset": "f"}))


def test_flickr_by_hand(tmp_path: Path, scored: Scored) -> None:
    flickr(tmp_path)
    angles = {"1": 0.0, "3": 1.0, "a": 0.1, "b": 0.2, "c": 0.8, "d": 0.9, "e": 0.3, "g": 0.0}
    found = scored("flickr30k", angles)
    # c and d lie nearer to 3; g, of 3, lies on 1; a sixth caption and the train split do not count
    t2i, i2t = found["flickr30k/t2i"], found["flickr30k/i2t"]
    assert ranks(t2i) == [[1], [1], [2], [2], [1], [2]]
    assert t2i.score.metrics["R@1"] == 0.5
    # 1: g, a, b, e, c, d; 3: d (0.1 off), c, e, b, a, g
    assert ranks(i2t) == [[2, 3, 4, 5, 6], [6]]
    assert i2t.score.metrics["R@5"] == 0.5
    assert i2t.score.metrics["mAP"] == pytest.approx(
        ((1 / 2 + 2 / 3 + 3 / 4 + 4 / 5 + 5 / 6) / 5 + 1 / 6) / 2
    )


def test_coco_pictures_lie_where_their_rows_say(tmp_path: Path) -> None:
    root = tmp_path / "mscoco"
    (root / "val2014").mkdir(parents=True)
    row = {"filepath": "val2014", "filename": "COCO_val2014_000000000042.jpg", "split": "test",
           "sentences": sentences("a")}  # fmt: skip
    (root / "dataset_coco.json").write_text(json.dumps({"images": [row]}))
    t2i, _ = registry.read(registry.benchmark_named("mscoco"), tmp_path)
    assert t2i.candidates[0].images == (str(root / "val2014" / row["filename"]),)


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [{"filename": "a"}]}'])
def test_another_layout_is_told(tmp_path: Path, text: str) -> None:
    flickr(tmp_path)
    (tmp_path / "flickr30k" / "dataset_flickr30k.json").write_text(text)
    with pytest.raises(DataError, match=r"layout of Flickr30K.*Expected: JSON of"):
        registry.read(registry.benchmark_named("flickr30k"), tmp_path)


def test_a_split_without_rows_is_told(tmp_path: Path) -> None:
    flickr(tmp_path)
    (tmp_path / "flickr30k" / "dataset_flickr30k.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="Flickr30K holds no rows"):
        registry.read(registry.benchmark_named("flickr30k"), tmp_path)
