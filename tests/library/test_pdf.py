from __future__ import annotations

from pathlib import Path

import pytest

from unite.errors import ItemError
from unite.library import pdf
from unite.library.pdf import read_pdf

from .conftest import write
from .films import write_pdf


def test_words_page_by_page(tmp_path: Path) -> None:
    pages = read_pdf(str(write_pdf(tmp_path / "a.pdf", ["red star", "blue ring"])), 60)
    assert [text.strip() for text in pages.texts] == ["red star", "blue ring"]
    assert pages.note is None


def test_pictures_of_words_are_none(tmp_path: Path) -> None:
    pages = read_pdf(str(write_pdf(tmp_path / "scan.pdf", ["", ""])), 60)
    assert pages.note == "its pages hold pictures only, no text"


def test_a_password_is_reported_but_an_empty_one_opens(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"encrypted\. Save a copy"):
        read_pdf(str(write_pdf(tmp_path / "a.pdf", ["secret"], password="x")), 60)
    open_to_all = write_pdf(tmp_path / "b.pdf", ["public"], password="")
    assert read_pdf(str(open_to_all), 60).texts[0].strip() == "public"


@pytest.mark.parametrize("keep", [0, 4, 100, 400])
def test_what_is_cut_short_is_reported_or_read_in_part(tmp_path: Path, keep: int) -> None:
    whole = write_pdf(tmp_path / "a.pdf", ["red star"] * 5).read_bytes()
    with pytest.raises(ItemError, match="cannot be read"):
        read_pdf(str(write(tmp_path / "cut.pdf", whole[:keep])), 60)


def test_damage_costs_no_more_than_the_file(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", ["red star"] * 3).read_bytes()
    for at in range(10, len(whole), 37):
        data = bytearray(whole)
        data[at] ^= 0xFF
        try:
            read_pdf(str(write(tmp_path / "odd.pdf", bytes(data))), 60)
        except ItemError as error:
            assert "PDF" in str(error)  # noqa: PT017 - either outcome is right


def test_pages_and_time_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write_pdf(tmp_path / "a.pdf", ["one", "two", "three"]))
    assert (
        read_pdf(path, -1).note == "0 of 3 pages were read; its pages hold pictures only, no text"
    )
    monkeypatch.setattr(pdf, "PAGES", 2)
    assert read_pdf(path, 60).note == "2 of 3 pages were read"


def test_what_is_too_large_for_memory_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_pdf(tmp_path / "a.pdf", ["red star"])
    monkeypatch.setattr(pdf, "BYTES", file.stat().st_size)
    assert len(read_pdf(str(file), 9).texts) == 1
    monkeypatch.setattr(pdf, "BYTES", file.stat().st_size - 1)
    with pytest.raises(ItemError, match=r"at most .* Split it"):
        read_pdf(str(file), 9)
