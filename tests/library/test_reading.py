from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.library.fakes import dies, hangs  # by a name that a worker can import

from unite.library import reading
from unite.library.clips import ClipFacts
from unite.library.ingest import ingest
from unite.library.known import Known
from unite.library.library import Library
from unite.library.reading import Reading
from unite.library.scan import scan
from unite.library.segments import Segmenting

from .conftest import counts, new_library, picture, write
from .fakes import FakeEncoder
from .films import write_film, write_pdf

WHOLE = Segmenting(how="whole")


def paths(read: Reading, folder: Path) -> list[str]:
    sources = scan([folder]).sources.values()
    return [one.source.path for chunk in read.chunks(sources) for one in chunk]


@pytest.mark.parametrize("ahead", [1, 3, 64])
def test_files_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    monkeypatch.setattr(reading, "AHEAD", ahead)
    for n in range(20):
        picture(tmp_path / f"{n:02}.png")
    with Reading(Known([]), WHOLE, 0) as read:
        assert paths(read, tmp_path) == [str(tmp_path / f"{n:02}.png") for n in range(20)]


def test_no_more_is_read_than_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AHEAD", 4)
    taken = 0

    def counted() -> object:
        nonlocal taken
        for source in scan([tmp_path]).sources.values():
            taken += 1
            yield source

    for n in range(30):
        write(tmp_path / f"{n:02}.txt", "words")
    with Reading(Known([]), WHOLE, 0) as read:
        first = next(read.chunks(counted()))  # type: ignore[arg-type]
        assert taken <= len(first) + 4


def test_processes_do_as_threads_do(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [3, 4])
    pages = write_pdf(tmp_path / "a.pdf", ["red star"])
    found = []
    for workers in (0, 1):
        with Reading(Known([]), Segmenting(how="scenes"), workers) as read:
            found.append((read.clip(str(film), "digest"), read.pdf(str(pages))))
    assert found[0] == found[1]
    assert len(found[0][0].spans) == 2


@pytest.mark.parametrize(("fault", "reason"), [(hangs, "timed out"), (dies, "died")])
def test_a_file_that_hangs_or_kills_its_reader_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fault: Callable[..., ClipFacts], reason: str,
) -> None:  # fmt: skip
    library = new_library(tmp_path / "lib", segmenting=Segmenting(how="scenes"))
    film = write_film(tmp_path / "media" / "film.mp4", [3, 4])
    pages = write_pdf(tmp_path / "media" / "a.pdf", ["red star"])
    monkeypatch.setattr(reading, "SECONDS", 0.5)
    monkeypatch.setattr(reading, "look_at", fault)
    monkeypatch.setattr(reading, "read_pdf", fault)
    outcome = ingest(library, [film.parent], FakeEncoder(), workers=1)
    assert counts(outcome) == {"added": 1, "embedded": 1, "failed": 1}
    assert reason in outcome.notes[str(film)]
    assert reason in outcome.failed[str(pages)]
    assert [record.path for record in library.store.records()] == [str(film)]


def test_pdfs_are_indexed_by_passage_with_their_pages(library: Library, tmp_path: Path) -> None:
    pages = write_pdf(tmp_path / "m" / "a.pdf", ["red star", "", "blue ring"])
    write_pdf(tmp_path / "m" / "locked.pdf", ["secret"], password="x")
    write(tmp_path / "m" / "no.pdf", "none")
    write_pdf(tmp_path / "m" / "scan.pdf", [""])
    outcome = ingest(library, [tmp_path / "m"], FakeEncoder())
    assert counts(outcome) == {"added": 1, "embedded": 2, "failed": 2}
    held = {one.id: (one.text.strip(), one.meta["page"]) for one in library.store.records()}
    assert held == {f"{pages}#1": ("red star", "1"), f"{pages}#2": ("blue ring", "3")}
    assert "pictures only" in outcome.notes[str(tmp_path / "m" / "scan.pdf")]
    assert counts(ingest(library, [pages], FakeEncoder())) == {"kept": 1}
