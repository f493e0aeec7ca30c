from __future__ import annotations

import pytest

from unite.library.passages import PASSAGE, passages


def test_short_paragraphs_are_joined() -> None:
    assert list(passages("one\n\ntwo\n \nthree")) == ["one\n\ntwo\n\nthree"]
    assert list(passages("one\n\ntwo\n\nthree", 10)) == ["one\n\ntwo", "three"]


def test_long_paragraphs_are_cut_at_sentences_then_spaces_then_anywhere() -> None:
    assert list(passages("One two. Three four. Five", 21)) == ["One two. Three four.", "Five"]
    assert list(passages("alpha beta gamma", 11)) == ["alpha beta", "gamma"]
    assert list(passages("x" * 25, 10)) == ["x" * 10, "x" * 10, "x" * 5]


@pytest.mark.parametrize("length", [5, 37, 400, PASSAGE])
def test_no_word_is_lost_and_no_passage_too_long(length: int) -> None:
    text = "\n\n".join(" ".join(f"w{n}-{m}." for m in range(n * 7 % 60)) for n in range(40))
    found = list(passages(text, length))
    assert all(0 < len(passage) <= length for passage in found)
    assert "".join("".join(found).split()) == "".join(text.split())
