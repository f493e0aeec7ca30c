from __future__ import annotations

import json
from pathlib import Path

import pytest

from unite.data.records import BadRow
from unite.errors import DataError
from unite.library.listed import read_listed
from unite.types import Item

from .conftest import write


def rows(path: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for row, tags in read_listed(path):
        if isinstance(row, BadRow):
            found.append((row.id, row.error))
        else:
            media = [*row.images, *(clip.path for clip in row.videos)]
            found.append((row.id, row.text, *[Path(str(one)).name for one in media], *tags))
    return found


@pytest.mark.parametrize("head", ["path,caption", "file_name,text", "image,caption", "image,text"])
def test_a_table_of_captions(tmp_path: Path, head: str) -> None:
    table = write(tmp_path / "t.csv", f'{head}\na.png,"a star, red"\nsub/b.jpg,ring\n')
    assert rows(table) == [("1", "a star, red", "a.png"), ("2", "ring", "b.jpg")]
    (first, _), *_ = read_listed(table)
    assert isinstance(first, Item)
    assert first.images == (str(tmp_path / "a.png"),)


def test_clips_tags_ids_and_columns_of_no_interest(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "id,path,caption,tags,n\nx,c.mp4,grows,sea; sun ;sea,7\n")
    assert rows(table) == [("x", "grows", "c.mp4", "sea", "sun")]


def test_captions_in_jsonl(tmp_path: Path) -> None:
    given = [
        {"file_name": "a.png", "text": "star", "tags": ["sea", "sun"], "extra": 1},
        {"image": "b.png", "caption": "ring"},
        {"id": "own", "image": "b.png", "text": "an item", "tags": "sea"},
    ]
    path = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, given)))
    assert rows(path) == [
        ("1", "star", "a.png", "sea", "sun"),
        ("2", "ring", "b.png"),
        ("own", "an item", "b.png", "sea"),
    ]


def test_bad_rows_stand_alone(tmp_path: Path) -> None:
    given = [
        {"path": "a.wav", "caption": "x"},
        {"caption": "of nothing"},
        {"path": "a.png", "caption": 5},
        {"path": "a.png", "caption": "x", "tags": [1]},
        [],
        {"path": "a.png", "caption": "fine"},
    ]
    found = rows(write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, given))))
    assert [row[0] for row in found] == ["1", "2", "3", "4", "5", "6"]
    assert "'a.wav' is the path of no picture or clip" in str(found[0][1])
    assert "'tags' is a list of words" in str(found[3][1])
    assert found[5] == ("6", "fine", "a.png")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "path,size\na.png,3\n"])
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="Name them 'path' and 'caption'"):
        list(read_listed(write(tmp_path / "t.csv", text)))


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError):
        list(read_listed(write(tmp_path / "t.csv", b"path,caption\na.png,\xff\n")))
