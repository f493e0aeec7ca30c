from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.evaluation.readers.conftest import Scored, ranks

from unite.errors import DataError
from unite.evaluation import registry


def subset(data: Path, name: str, rows: list[dict[str, Any]]) -> None:
    root = data / "MMEB-eval"
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / name).mkdir()
    pq.write_table(pa.Table.from_pylist(rows), root / name / "test-00000-of-00001.parquet")


def test_answers_in_words_by_hand(tmp_path: Path, scored: Scored) -> None:
    subset(tmp_path, "ChartQA", [
        {"qry_text": "<|image_1|>\nHow many?", "qry_img_path": "ChartQA/1.png",
         "tgt_text": ["two", "three", "four"], "tgt_img_path": ["", "", ""]},
        {"qry_text": "<|image_1|>\nHow many?", "qry_img_path": "ChartQA/2.png",
         "tgt_text": ["three", "two", "three"], "tgt_img_path": ["", "", ""]},
    ])  # fmt: skip
    angles = {"1 | <|IMAGE|>\nHow many?": 0.0, "2 | <|IMAGE|>\nHow many?": 1.0,
              "two": 0.6, "three": 0.9, "four": 0.1}  # fmt: skip
    (result,) = scored("mmeb-ChartQA", angles).values()
    # 1: four (0.1) before two; 2: three, which stands twice in its list, before two
    assert ranks(result) == [[2], [1]]
    assert (result.score.main_score, result.score.main) == ("P@1", 0.5)
    assert result.score.metrics["MeanR"] == 1.5
    assert result.score.candidates == 3


def test_pictures_as_candidates(tmp_path: Path) -> None:
    subset(tmp_path, "MSCOCO_t2i", [
        {"qry_text": "Find: a boat", "qry_img_path": "",
         "tgt_text": ["<|image_1|>\nRepresent the given image.", ""],
         "tgt_img_path": ["a/1.jpg", "a/2.jpg"]},
    ])  # fmt: skip
    (task,) = registry.read(registry.benchmark_named("mmeb-MSCOCO_t2i"), tmp_path)
    assert task.queries[0].text == "Find: a boat"
    assert task.queries[0].images == ()
    worded, bare = task.candidates
    assert worded.text == "<|IMAGE|>\nRepresent the given image."
    assert bare.text is None
    assert worded.images[0] == str(tmp_path / "MMEB-eval" / "images" / "a" / "1.jpg")
    assert task.pools == ((0, 1),)


def test_ids_do_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    row = {"qry_text": "q", "qry_img_path": "", "tgt_text": ["a"], "tgt_img_path": ["x.jpg"]}
    ids = []
    for place in ("one", "two"):
        subset(tmp_path / place, "EDIS", [row])
        (task,) = registry.read(registry.benchmark_named("mmeb-EDIS"), tmp_path / place)
        ids.append(task.candidates[0].id)
    assert ids[0] == ids[1]


@pytest.mark.parametrize("row", [
    {"qry": "old columns"},
    {"qry_text": "q", "qry_img_path": "", "tgt_text": ["a", "b"], "tgt_img_path": [""]},
    {"qry_text": "", "qry_img_path": "", "tgt_text": ["a"], "tgt_img_path": [""]},
    {"qry_text": "q", "qry_img_path": "", "tgt_text": [""], "tgt_img_path": [""]},
])  # fmt: skip
def test_another_layout_is_told(tmp_path: Path, row: dict[str, Any]) -> None:
    subset(tmp_path, "GQA", [row])
    with pytest.raises(DataError, match="layout of MMEB GQA"):
        registry.read(registry.benchmark_named("mmeb-GQA"), tmp_path)


def test_questions_about_one_picture_are_one_group(tmp_path: Path) -> None:
    rows = [
        {"qry_text": f"{n}?", "qry_img_path": name, "tgt_text": ["a"], "tgt_img_path": [""]}
        for n, name in enumerate(("1.png", "2.png", "1.png", "", ""))
    ]
    subset(tmp_path, "GQA", rows)
    (task,) = registry.read(registry.benchmark_named("mmeb-GQA"), tmp_path)
    assert task.query_groups == (0, 1, 0, 2, 3)
    subset(tmp_path / "alone", "GQA", rows[:2])
    (task,) = registry.read(registry.benchmark_named("mmeb-GQA"), tmp_path / "alone")
    assert task.query_groups == ()
