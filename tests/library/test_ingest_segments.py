"""Clips of several segments: found as a whole and in parts, and incremental all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unite.errors import LibraryError, MediaError
from unite.library import clips, reading, scenes
from unite.library.ingest import ingest
from unite.library.library import Library
from unite.library.segments import Segmenting

from .conftest import contents_of, counts, new_library, write
from .fakes import FakeEncoder
from .films import write_film


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "media" / "film.mp4", [3, 4])


@pytest.fixture
def cutting(tmp_path: Path) -> Library:
    return new_library(tmp_path / "cutting", segmenting=Segmenting(how="scenes"))


def no_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(path: str, segmenting: Segmenting, seconds: float) -> clips.ClipFacts:
        raise AssertionError(path)

    monkeypatch.setattr(reading, "look_at", look)


def test_a_clip_is_found_as_a_whole_and_by_segment(cutting: Library, film: Path) -> None:
    outcome = ingest(cutting, [film.parent], FakeEncoder())
    assert counts(outcome) == {"added": 1, "embedded": 3}
    whole, first, second = sorted(cutting.store.records(), key=lambda record: record.id)
    assert (whole.id, whole.start, whole.end) == (str(film), None, None)
    assert (first.id, first.start, first.end) == (f"{film}#1", 0.0, second.start)
    assert (second.id, second.end, second.modality) == (f"{film}#2", 7.0, "video")
    for record in (whole, first, second):
        assert (record.path, record.parts, record.duration) == (str(film), 3, 7.0)
        assert (record.width, record.height) == (64, 48)
    assert counts(ingest(cutting, [film.parent], FakeEncoder())) == {"kept": 1}


def test_a_clip_of_one_shot_is_one_record(cutting: Library, tmp_path: Path) -> None:
    short = write_film(tmp_path / "short.mp4", [6])
    assert counts(ingest(cutting, [short], FakeEncoder())) == {"added": 1, "embedded": 1}
    (record,) = cutting.store.records()
    assert (record.start, record.end, record.duration) == (None, None, 6.0)


@pytest.mark.parametrize("how", ["touched", "moved", "copied"])
def test_known_clips_are_not_looked_at_again(
    cutting: Library, film: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ingest(cutting, [film.parent], FakeEncoder())
    before = sorted(contents_of(cutting).values())
    no_looking(monkeypatch)
    if how == "touched":
        film.touch()
    elif how == "moved":
        film.rename(film.with_name("other.mp4"))
    else:
        shutil.copyfile(film, film.with_name("other.mp4"))
    outcome = counts(ingest(cutting, [film.parent], FakeEncoder()))
    after = sorted(contents_of(cutting).values())
    if how == "copied":
        assert (outcome, after) == ({"added": 1, "kept": 1}, sorted(before * 2))
    else:
        assert (outcome, after) == ({"kept" if how == "touched" else "moved": 1}, before)
    assert counts(ingest(cutting, [film.parent], FakeEncoder()))["kept"] == (1 + (how == "copied"))


def test_a_clip_cut_anew_leaves_no_segment_behind(cutting: Library, film: Path) -> None:
    ingest(cutting, [film.parent], FakeEncoder())
    write_film(film, [6])
    assert counts(ingest(cutting, [film], FakeEncoder())) == {"changed": 1, "embedded": 1}
    assert [record.id for record in cutting.store.records()] == [str(film)]
    film.unlink()
    assert counts(ingest(cutting, [film.parent], FakeEncoder())) == {"removed": 1}
    assert cutting.store.count() == 0


def test_after_an_interrupt_only_what_is_missing_is_embedded(cutting: Library, film: Path) -> None:
    ingest(cutting, [film.parent], FakeEncoder())
    whole = contents_of(cutting)
    cutting.store.delete([f"{film}#2"])
    again = FakeEncoder()
    assert counts(ingest(cutting, [film.parent], again)) == {"changed": 1, "embedded": 1}
    assert again.seen == [f"{film}#2"]
    assert contents_of(cutting) == whole


def test_a_clip_that_cannot_be_cut_is_kept_whole_and_noted(
    cutting: Library, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(path: str, segmenting: Segmenting, seconds: float) -> clips.ClipFacts:
        raise MediaError("Decoding timed out after 600 s.")

    monkeypatch.setattr(reading, "look_at", too_slow)
    outcome = ingest(cutting, [film], FakeEncoder())
    assert counts(outcome) == {"added": 1, "embedded": 1}
    assert "as a whole only" in outcome.notes[str(film)]
    assert "timed out" in outcome.notes[str(film)]
    assert counts(ingest(cutting, [film], FakeEncoder())) == {"kept": 1}


def test_a_clip_that_could_not_be_cut_is_tried_again(
    cutting: Library, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: str, segmenting: Segmenting, seconds: float) -> clips.ClipFacts:
        raise MediaError("The decoder died.")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "look_at", dies)
        for _ in range(2):
            assert "decoder died" in ingest(cutting, [film], FakeEncoder()).notes[str(film)]
    again = FakeEncoder()
    outcome = ingest(cutting, [film], again)
    assert not outcome.notes
    assert again.seen == [f"{film}#1", f"{film}#2"]  # the whole clip's vector is known
    assert counts(ingest(cutting, [film], FakeEncoder())) == {"kept": 1}


def test_segments_of_a_clip_outlive_a_look_that_failed(
    cutting: Library, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(cutting, [film], FakeEncoder())
    whole = contents_of(cutting)
    cutting.store.delete([f"{film}#2"])  # as if it alone had failed

    def dies(path: str, segmenting: Segmenting, seconds: float) -> clips.ClipFacts:
        raise MediaError("The decoder died.")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "look_at", dies)
        assert counts(ingest(cutting, [film], FakeEncoder())) == {"kept": 1}
        assert f"{film}#1" in contents_of(cutting)
        write_film(film, [6])  # other contents: what they were is no longer true
        ingest(cutting, [film], FakeEncoder())
        assert [record.id for record in cutting.store.records()] == [str(film)]
    write_film(film, [3, 4])
    ingest(cutting, [film], FakeEncoder())
    assert contents_of(cutting) == whole


def test_without_scenes_a_library_of_scenes_is_refused(
    cutting: Library, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "can_find_cuts", lambda: False)
    with pytest.raises(LibraryError, match="unite-embed"):
        ingest(cutting, [film], FakeEncoder())


def test_a_caption_belongs_to_the_whole_clip(cutting: Library, film: Path) -> None:
    ingest(cutting, [film.parent], FakeEncoder())
    write(film.with_suffix(".txt"), "two shots")
    again = FakeEncoder()
    assert counts(ingest(cutting, [film.parent], again)) == {"changed": 1, "embedded": 1}
    assert again.seen == [str(film)]
    held = {record.id: record.modality for record in cutting.store.records()}
    assert held == {str(film): "text+video", f"{film}#1": "video", f"{film}#2": "video"}
    assert counts(ingest(cutting, [film.parent], FakeEncoder())) == {"kept": 1}
