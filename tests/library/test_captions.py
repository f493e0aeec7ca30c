"""A short text beside a picture is its caption, and with it one item."""

from __future__ import annotations

from pathlib import Path

import pytest

from unite.library.ingest import ingest
from unite.library.library import Library
from unite.library.scan import CAPTION_BYTES

from .conftest import Run, counts, picture, write
from .fakes import FakeEncoder


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    return picture(tmp_path / "shots" / "a.png")


def state(library: Library) -> dict[str, tuple[str, str]]:
    return {
        Path(record.path).name: (record.modality, record.text) for record in library.store.records()
    }


def test_a_caption_is_fused_and_no_text_of_its_own(run: Run, library: Library, shot: Path) -> None:
    write(shot.with_suffix(".txt"), "\ufeff a red square\n")
    assert run(shot.parent) == {"added": 1, "embedded": 1}
    assert state(library) == {"a.png": ("text+image", "a red square")}
    assert run(shot.parent) == {"kept": 1}


def test_a_caption_that_appears_changes_and_vanishes(
    run: Run, library: Library, shot: Path
) -> None:
    caption = shot.with_suffix(".txt")
    run(shot.parent)
    write(caption, "red")
    assert run(shot.parent) == {"changed": 1, "embedded": 1}
    write(caption, "dark red")
    assert run(shot.parent) == {"changed": 1, "embedded": 1}
    assert state(library) == {"a.png": ("text+image", "dark red")}
    caption.unlink()
    assert run(shot.parent) == {"changed": 1, "embedded": 1}
    assert state(library) == {"a.png": ("image", "")}
    assert run(shot.parent) == {"kept": 1}


def test_a_caption_touched_costs_no_model_time(run: Run, shot: Path) -> None:
    caption = write(shot.with_suffix(".txt"), "red")
    run(shot.parent)
    caption.touch()
    assert run(shot.parent) == {"kept": 1}


def test_a_text_becomes_a_caption_and_a_text_again(run: Run, library: Library, shot: Path) -> None:
    note = write(shot.with_suffix(".txt"), "red")
    data = shot.read_bytes()
    shot.unlink()
    assert run(note.parent) == {"added": 1, "embedded": 1}
    write(shot, data)
    assert run(note.parent) == {"added": 1, "embedded": 1}
    assert state(library) == {"a.png": ("text+image", "red")}
    shot.unlink()
    assert run(note.parent) == {"added": 1, "removed": 1, "embedded": 1}
    assert state(library) == {"a.txt": ("text", "red")}


@pytest.mark.parametrize("name", ["a.png", "a.txt"])
def test_either_of_the_two_may_be_named(run: Run, library: Library, shot: Path, name: str) -> None:
    write(shot.with_suffix(".txt"), "red")
    picture(shot.with_name("b.png"), "blue")
    assert run(shot.with_name(name)) == {"added": 1, "embedded": 1}
    assert state(library) == {"a.png": ("text+image", "red")}
    assert run(shot.with_name(name)) == {"kept": 1}


def test_one_text_serves_all_of_its_stem(run: Run, library: Library, shot: Path) -> None:
    write(shot.with_suffix(".txt"), "red")
    picture(shot.with_suffix(".jpg"), "blue")
    assert run(shot.parent) == {"added": 2, "embedded": 2}
    assert {label for label, _ in state(library).values()} == {"text+image"}


def test_documents_are_no_captions(run: Run, library: Library, shot: Path) -> None:
    write(shot.with_suffix(".txt"), "word " * (CAPTION_BYTES // 5 + 1))
    write(shot.with_suffix(".md"), "a document")
    write(shot.with_name("a.png.txt"), "of another stem")
    run(shot.parent)
    held = state(library)
    assert held["a.png"] == ("image", "")
    assert {held[name][0] for name in ("a.txt", "a.md", "a.png.txt")} == {"text"}


def test_a_caption_that_is_no_text_is_reported_and_the_picture_kept(
    library: Library, shot: Path
) -> None:
    caption = write(shot.with_suffix(".txt"), b"caf\xe9")
    for expected in ({"added": 1, "embedded": 1, "failed": 1}, {"kept": 1, "failed": 1}):
        outcome = ingest(library, [shot.parent], FakeEncoder())
        assert counts(outcome) == expected
        assert "not UTF-8" in outcome.failed[str(caption)]
    assert state(library) == {"a.png": ("image", "")}


def test_a_moved_pair_keeps_its_vector(run: Run, library: Library, shot: Path) -> None:
    write(shot.with_suffix(".txt"), "red")
    run(shot.parent)
    shot.parent.rename(shot.parent.with_name("elsewhere"))
    assert run(shot.parent.with_name("elsewhere")) == {"moved": 1}


def test_pictures_have_their_size(run: Run, library: Library, shot: Path) -> None:
    run(shot)
    (record,) = library.store.records()
    assert (record.width, record.height, record.duration) == (8, 6, None)
