from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unite.errors import ItemError, LibraryError, MediaError
from unite.library.ingest import ingest
from unite.library.library import Library
from unite.library.terms import Term, ask, held, parse_term
from unite.types import Item

from .conftest import picture
from .fakes import FakeEncoder


def test_a_term_is_a_weight_a_kind_and_a_value(tmp_path: Path) -> None:
    photo = str(picture(tmp_path / "a.png"))
    assert parse_term("text:snow: deep") == Term(Item(text="snow: deep"))
    assert parse_term(" 0.5*text:2*3 ", -1.0) == Term(Item(text="2*3"), -0.5)
    assert parse_term(f".25*image:{photo}") == Term(Item(images=(photo,)), 0.25)
    assert parse_term("like:/x/clip.mp4#3") == Term("/x/clip.mp4#3")


@pytest.mark.parametrize("text", ["", "snow", "text:", "text: ", "*text:a", "-1*text:a"])
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(ItemError, match="text:WORDS"):
        parse_term(text)


def test_a_wrong_kind_and_a_missing_file_are_named() -> None:
    with pytest.raises(ItemError, match="image"):
        parse_term("imgae:a.png")
    with pytest.raises(MediaError, match=r"none\.png is not a file"):
        parse_term("image:none.png")


@pytest.fixture
def filled(library: Library, encoder: FakeEncoder, media: Path) -> Library:
    ingest(library, [media], encoder)
    return library


def test_terms_add_up(filled: Library, encoder: FakeEncoder, media: Path) -> None:
    one, two = Item(text="one"), Item(text="two")
    vectors = [next(encoder.embed([item])).vector for item in (one, two)]
    assert vectors[0] is not None
    assert vectors[1] is not None
    found = ask(filled, encoder, [Term(one, 2.0), Term(two, -0.5)])
    plain = 2.0 * vectors[0] - 0.5 * vectors[1]
    np.testing.assert_allclose(found.vector, plain / np.linalg.norm(plain), atol=1e-6)
    assert found.item == one
    assert ask(filled, encoder, [Term(one, -0.1), Term(two)]).item == two


def test_one_item_keeps_its_vector(filled: Library, encoder: FakeEncoder) -> None:
    item = Item(text="one")
    found = ask(filled, encoder, [Term(item, 3.0)])
    np.testing.assert_allclose(found.vector, next(encoder.embed([item])).vector, atol=1e-6)


def test_what_the_library_holds_is_not_embedded_again(
    filled: Library, encoder: FakeEncoder, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.seen.clear()
    photo = str(media / "a.png")
    found = ask(filled, encoder, [Term(photo)])
    np.testing.assert_allclose(found.vector, filled.store.get([photo])[0].vector, atol=1e-6)
    assert encoder.seen == []
    assert [record.id for record in found.liked] == [photo]
    assert found.item is None
    monkeypatch.chdir(media)
    assert [row.record.id for row in held(filled, "a.png")] == [photo]


def test_a_file_of_several_parts_is_their_mean(
    filled: Library, encoder: FakeEncoder, media: Path
) -> None:
    notes = str(media / "notes.md")
    rows = held(filled, notes)
    assert [row.record.id for row in rows] == [f"{notes}#1", f"{notes}#2"]
    mean = rows[0].vector + rows[1].vector
    found = ask(filled, encoder, [Term(notes)])
    np.testing.assert_allclose(found.vector, mean / np.linalg.norm(mean), atol=1e-6)
    assert len(held(filled, f"{notes}#2")) == 1


def test_what_cannot_be_asked_is_said(filled: Library, encoder: FakeEncoder) -> None:
    item = Item(text="one")
    with pytest.raises(ItemError, match="cancel each other"):
        ask(filled, encoder, [Term(item), Term(item, -1.0)])
    with pytest.raises(ItemError, match="nothing to search for"):
        ask(filled, encoder, [Term(item, -1.0)])
    with pytest.raises(LibraryError, match="holds nothing named nowhere"):
        ask(filled, encoder, [Term("nowhere")])
    with pytest.raises(ItemError, match="cannot be embedded: cannot be decoded"):
        ask(filled, encoder, [Term(Item(text="broken"))])
