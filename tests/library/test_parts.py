from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unite.errors import DataError
from unite.library.known import Known
from unite.library.parts import Contents, read_parts
from unite.library.reading import Reading
from unite.library.scan import scan
from unite.library.segments import Segmenting

from .conftest import picture, write


def read(path: Path, segmenting: Segmenting | None = None) -> Contents:
    source = scan([path]).sources[str(path)]
    with Reading(Known([]), segmenting or Segmenting(how="whole"), 0) as reading:
        return read_parts(source, reading)


def test_a_picture_and_a_clip_are_one_part(media: Path) -> None:
    (part,) = read(media / "a.png").parts
    assert part.item.images == (str(media / "a.png"),)
    assert part.item.id == part.record.id == part.record.path == part.record.source
    assert (part.record.modality, part.record.parts, part.record.start) == ("image", 1, None)
    (part,) = read(media / "sub" / "clip.mp4").parts
    assert part.item.videos[0].path == str(media / "sub" / "clip.mp4")
    assert (part.record.modality, part.record.start, part.record.end) == ("video", None, None)


def test_a_text_is_one_part_per_passage(media: Path) -> None:
    parts = read(media / "notes.md").parts
    assert [part.record.id for part in parts] == [f"{media / 'notes.md'}#{n}" for n in (1, 2)]
    assert [part.record.parts for part in parts] == [2, 2]
    assert [part.record.text[:2] for part in parts] == ["pp", "qq"]
    assert {part.record.path for part in parts} == {str(media / "notes.md")}


def test_a_digest_follows_contents_not_names(tmp_path: Path) -> None:
    one = read(picture(tmp_path / "1.png", "red")).parts[0].record
    same = read(picture(tmp_path / "2.png", "red")).parts[0].record
    other = read(picture(tmp_path / "3.png", "blue")).parts[0].record
    assert one.digest == same.digest != other.digest


def test_a_text_that_is_no_text(tmp_path: Path) -> None:
    assert read(write(tmp_path / "bom.txt", "\ufeffhello")).parts[0].item.text == "hello"
    assert read(write(tmp_path / "empty.txt", " \n\n ")) == Contents([], {})
    with pytest.raises(DataError, match=r"not UTF-8 \(byte 2\)"):
        read(write(tmp_path / "latin.txt", b"ab\xe9"))


def test_an_item_file_is_one_part_per_row(tmp_path: Path) -> None:
    shot = picture(tmp_path / "shot.png")
    rows = [
        {"id": "cap", "text": "a red square"},
        {"id": "pic", "image": "shot.png", "text": "red"},
        {"id": "part", "video": {"path": "c.mp4", "start": 1, "end": 2}},
        {"id": "cap", "text": "again"},
        {"id": "odd", "sound": "x.wav"},
    ]
    path = write(tmp_path / "items.jsonl", "\n".join(map(json.dumps, rows)) + "\nnot json\n")
    found = read(path)
    assert [part.record.id for part in found.parts] == [
        f"{path}#{n}" for n in ("cap", "pic", "part")
    ]
    assert [part.record.modality for part in found.parts] == ["text", "text+image", "video"]
    assert [part.record.path for part in found.parts] == [
        str(path),
        str(shot),
        str(tmp_path / "c.mp4"),
    ]
    assert {part.record.source for part in found.parts} == {str(path)}
    assert (found.parts[2].record.start, found.parts[2].record.end) == (1.0, 2.0)
    assert {part.record.parts for part in found.parts} == {6}
    assert len(found.failed) == 3
    assert found.failed[f"{path}#cap (again)"] == "its id stands twice in the file"
    assert "sound" in found.failed[f"{path}#odd"]


@pytest.mark.parametrize("address", [False, True])
def test_a_listed_medium_that_changed_has_another_digest(tmp_path: Path, address: bool) -> None:
    shot = picture(tmp_path / "shot 1.png")
    given = shot.as_uri() if address else shot.name
    path = write(tmp_path / "items.jsonl", json.dumps({"id": "1", "image": given}))
    (first,) = read(path).parts
    assert read(path).parts[0].record.digest == first.record.digest
    assert [state.holds for state in first.shows] == [True]
    os.utime(shot, ns=(1, 1))
    assert read(path).parts[0].record.digest != first.record.digest
    assert [state.holds for state in first.shows] == [False]


def test_an_item_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        read(write(tmp_path / "items.jsonl", '{"id": "1", "text": "a"}'.encode("utf-16")))


def test_a_line_that_is_no_text_leaves_its_neighbours(tmp_path: Path) -> None:
    lines = [b'{"id": "a", "text": "a"}', b'{"id": "\xff"}', b'{"id": "c", "text": "c"}']
    found = read(write(tmp_path / "items.jsonl", b"\n".join(lines)))
    assert [part.record.id.partition("#")[2] for part in found.parts] == ["a", "c"]
    assert "not UTF-8" in found.failed[f"{tmp_path / 'items.jsonl'}#2"]
