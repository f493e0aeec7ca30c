from pathlib import Path
from typing import Any

import pytest
from tests.data_.sources.conftest import Read, bad, good, put, table

from unite.data.sources.mmeb import COLUMNS
from unite.errors import DataError
from unite.prompts import render
from unite.types import Modality

KEYS = (*COLUMNS, "neg_text", "neg_image_path")


def rows(*values: tuple[str | None, ...]) -> list[dict[str, Any]]:
    return [dict(zip(KEYS, row, strict=False)) for row in values]


@pytest.fixture
def mmeb(tmp_path: Path) -> Path:
    """Sets laid out and worded like the published ones."""
    root = tmp_path / "MMEB-train"
    table(
        root / "CIRR" / "original-00000-of-00001.parquet",
        rows(
            ("<|image_1|>\nFind it with these changes: more dogs.\n", "images/CIRR/Train/a.jpg",
             "<|image_1|>\nRepresent the given image.\n", "images/CIRR/Train/b.jpg", "", ""),
            ("", "", "<|image_1|>\nRepresent the given image.\n", "images/CIRR/Train/b.jpg", "", ""),
            ("<|image_1|>\nno picture", "", "text", "", "", ""),
            ("last", "images/q.jpg", "c", "images/CIRR/Train/c.jpg", "", ""),
        ),
    )  # fmt: skip
    table(
        root / "CIRR" / "diverse_instruction-00000-of-00001.parquet",
        rows(("q", "", "diverse", "", "", "")),
    )
    table(
        root / "ChartQA" / "original-00000-of-00001.parquet",
        rows(("<|image_1|>\nHow much?\n", "images/ChartQA/1.png", "14", None, "15", "")),
    )
    table(
        root / "WebQA" / "original-00000-of-00001.parquet",
        rows(("who?", "", "<|image_1|>\nRelated: him", "images/WebQA/1.jpg"))
        + rows(("who else?", "", "<|image_1|>\nRelated: her", "images/WebQA/2.jpg")),
    )
    return root


def test_sides_instructions_and_negatives(mmeb: Path, read: Read) -> None:
    found = read(mmeb)
    cirr, last, chart, webqa, _ = good(found)
    assert cirr.query.text == "<|IMAGE|>\nFind it with these changes: more dogs.\n"
    assert cirr.query.images == (str(mmeb / "images/CIRR/Train/a.jpg"),)
    assert chart.candidate.text == "14"
    assert chart.candidate.images == ()
    assert [item.text for item in chart.negatives] == ["15"]
    assert webqa.negatives == cirr.negatives == ()
    assert last.candidate.images == (str(mmeb / "images/CIRR/Train/c.jpg"),)
    for pair in good(found):
        assert "<|image_1|>" not in render(pair.query).text + render(pair.candidate).text
        assert len(render(pair.query).slots) == len(pair.query.images)


def test_an_instruction_before_the_candidate_is_no_content_of_it(mmeb: Path, read: Read) -> None:
    cirr, *_, webqa = good(read(mmeb))
    assert cirr.target_modality is Modality.IMAGE
    assert cirr.candidate.modality == Modality.TEXT | Modality.IMAGE
    assert webqa.target_modality == Modality.TEXT | Modality.IMAGE


def test_a_bad_row_leaves_its_neighbours(mmeb: Path, read: Read) -> None:
    found = read(mmeb, subset="CIRR")
    assert [type(row).__name__ for row in found] == ["Pair", "BadRow", "BadRow", "Pair"]
    empty, absent = bad(found)
    assert (empty.number, empty.id) == (2, "CIRR/original-00000-of-00001.parquet:2")
    assert "query is empty" in empty.error
    assert "names a picture" in absent.error


def test_splits_and_places(mmeb: Path, read: Read, tmp_path: Path) -> None:
    (diverse,) = good(read(mmeb, split="diverse_instruction"))
    assert diverse.candidate.text == "diverse"
    assert len(read(mmeb / "ChartQA", kind="mmeb")) == 1
    file = mmeb / "ChartQA" / "original-00000-of-00001.parquet"
    (moved,) = good(read(file, media=tmp_path / "m"))
    assert moved.query.images == (str(tmp_path / "m/images/ChartQA/1.png"),)


def test_what_is_missing_is_named(mmeb: Path, read: Read) -> None:
    with pytest.raises(DataError, match="Did you mean 'ChartQA'"):
        read(mmeb, subset="ChatQA")
    with pytest.raises(DataError, match="diverse_instruction"):
        read(mmeb, split="origin")
    put(mmeb / "N24News" / "original-00000-of-00001.parquet", b"PAR1 cut off")
    with pytest.raises(DataError, match=r"N24News.*Cannot read|Cannot read .*N24News"):
        read(mmeb, kind="mmeb")
    table(mmeb / "N24News" / "original-00000-of-00001.parquet", [{"qry": "a"}])
    (broken,) = read(mmeb, kind="mmeb", subset="N24News")
    assert "'qry_image_path'" in str(broken)
