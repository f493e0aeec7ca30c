import os
from pathlib import Path
from typing import Any

import pytest
from tests.data_.sources.conftest import CLIP, Read, bad, good, lines, picture, put

from unite.data.sources import Source, read_source
from unite.errors import DataError
from unite.types import Modality


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    put(root / "a.png", picture("red"))
    put(root / "a.txt", "a red square\n")
    put(root / "sub" / "b.mp4", CLIP.read_bytes())
    put(root / "sub" / "b.txt", "a clip")
    put(root / "c.png", picture())
    put(root / ".hidden" / "d.png", picture())
    put(root / "notes.txt", "of no medium")
    return root


def test_captions_beside_media(folder: Path, read: Read) -> None:
    found = read(folder)
    still, without, clip = found
    assert [pair.query.text for pair in good(found)] == ["a red square", "a clip"]
    assert good([still])[0].candidate.images == (str(folder / "a.png"),)
    assert good([clip])[0].target_modality is Modality.VIDEO
    assert bad([without])[0].id == "c.png"
    assert "no caption" in bad([without])[0].error


@pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (b"\xff", "UTF-8"), (b" \n", "empty")])
def test_a_broken_caption_costs_its_medium_only(
    folder: Path, read: Read, data: bytes, words: str
) -> None:
    put(folder / "a.txt", data)
    found = read(folder)
    assert [pair.query.text for pair in good(found)] == ["a clip"]
    assert words in bad(found)[0].error


def test_several_captions_in_a_table_are_one_candidate(folder: Path, read: Read) -> None:
    put(
        folder / "captions.csv",
        "file_name,caption,caption_2\n./c.png,one,two\nsub/b.mp4,three,\nnone.png,x,y\na.png,,\n",
    )
    found = read(folder)
    one, two, clip = good(found)
    assert [pair.query.text for pair in (one, two, clip)] == ["one", "two", "three"]
    assert one.candidate_id == two.candidate_id != clip.candidate_id
    assert [(row.number, row.id) for row in bad(found)] == [(3, "captions.csv:3"), (4, "captions.csv:4")]  # fmt: skip
    assert "'none.png'" in bad(found)[0].error


def test_a_table_of_lines_with_other_columns(folder: Path, read: Read) -> None:
    put(
        folder / "captions.jsonl",
        lines([{"pic": "c.png", "en": ["one", "two"], "de": "eins"}]) + "{\n",
    )
    found = read(folder, query="en,de", candidate="pic")
    texts = [pair.query.text for pair in good(found)]
    assert texts == ["one", "two", "eins", "a red square", "a clip"]
    assert [row.id for row in bad(found)] == ["captions.jsonl:2"]
    with pytest.raises(DataError, match="no column of file names; its columns: pic, en, de"):
        read(folder)
    with pytest.raises(DataError, match="no column of captions"):
        read(folder, candidate="pic")
    with pytest.raises(DataError, match=r"no column 'eng'.*Did you mean 'en'"):
        read(folder, query="eng", candidate="pic")


def test_media_may_lie_apart_from_the_table(folder: Path, read: Read, tmp_path: Path) -> None:
    put(tmp_path / "table" / "captions.csv", "file,text\nc.png,seen\n")
    found = read(tmp_path / "table", kind="folder", media=folder)
    assert [pair.query.text for pair in good(found)] == ["seen", "a red square", "a clip"]


def test_every_medium_is_a_pair_or_a_bad_row(folder: Path, read: Read) -> None:
    for number in range(20):
        put(folder / "many" / f"{number}.png", picture())
        if number % 3:
            put(folder / "many" / f"{number}.txt", str(number))
    found = read(folder)
    assert len(found) == 23
    assert len(bad(found)) == 8


def test_lines_that_differ_in_their_columns_lose_none(folder: Path, read: Read) -> None:
    rows = [
        {"image": "c.png", "caption": "one"},
        {"video": "sub/b.mp4", "caption": "two", "caption_2": "three"},
        {"file_name": "a.png", "text": "four"},
        {"caption": "of what?"},
    ]
    put(folder / "captions.jsonl", lines(rows))
    found = read(folder)
    assert [pair.query.text for pair in good(found)] == ["one", "two", "three", "four"]
    assert [row.id for row in bad(found)] == ["captions.jsonl:4"]


def test_blank_captions_are_none(folder: Path, read: Read) -> None:
    put(folder / "captions.jsonl", lines([{"image": "c.png", "caption": ["  ", "one", "\n"]}]))
    put(folder / "metadata.csv", "file_name,text\na.png, \n")
    found = read(folder)
    assert [pair.query.text for pair in good(found)] == ["one", "a clip"]
    assert [row.id for row in bad(found)] == ["metadata.csv:1"]


def test_linked_folders_are_read_and_a_loop_ends(folder: Path, read: Read, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "d.png", picture("blue"))
    put(tmp_path / "elsewhere" / "d.txt", "from elsewhere")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "sub" / "back").symlink_to(folder)
    texts = [pair.query.text for pair in good(read(folder))]
    assert texts == ["a red square", "from elsewhere", "a clip"]


def test_whole_paths_in_a_table_name_their_files(folder: Path, read: Read) -> None:
    linked = folder.parent / "linked"
    linked.symlink_to(folder)
    names = [folder / "c.png", folder / "none.png", "/etc/hosts", linked / "a.png"]
    put(folder / "captions.csv", "file,text\n" + "".join(f"{name},t\n" for name in names))
    found = read(linked)
    one, two, *_ = good(found)
    assert one.candidate.images == (str(folder / "c.png"),)
    assert two.candidate.images == (str(folder / "a.png"),)
    assert [row.id for row in bad(found)] == ["captions.csv:2", "captions.csv:3"]


def test_a_folder_that_cannot_be_listed_is_a_row(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lost+found of a volume; who is root may list it, so the refusal is made here."""
    (folder / "lost+found").mkdir()
    scandir = os.scandir

    def refuse(path: Path) -> Any:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = read(folder)
    assert [pair.query.text for pair in good(found)] == ["a red square", "a clip"]
    assert bad(found)[-1].error == "lost+found cannot be listed: Permission denied."


def test_a_table_that_breaks_off_gives_what_came_before(folder: Path, tmp_path: Path) -> None:
    put(folder / "captions.json", '[{"image": "c.png", "caption": "one"}, {"image": ')
    rows = read_source(Source(path=folder, kind="folder"), "named", tmp_path / "extracted")
    assert good([next(rows)])[0].query.text == "one"
    with pytest.raises(DataError, match="not valid JSON in row 2"):
        next(rows)
