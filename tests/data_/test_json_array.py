from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite.data import json_array
from unite.data.json_array import elements
from unite.errors import DataError

PATH = Path("set.json")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every seam between two pieces is met."""
    monkeypatch.setattr(json_array, "PIECE", 3)
    monkeypatch.setattr(json_array, "LONGEST", 4000)


def read(text: str) -> list[Any]:
    return list(elements(PATH, io.StringIO(text)))


@settings(max_examples=150)
@given(st.lists(values, max_size=4), st.sampled_from([None, 0, 2]), st.booleans())
def test_an_array_in_pieces_is_the_array(rows: list[Any], indent: int | None, ascii_: bool) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_)
    assert read(f" \n{text}\r\n") == rows == json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["[12345678]", "[-1.25e-10]", "[1.5,2.5]", '["\\ud800"]', "[NaN]", "[-Infinity]", "[true,null]",
     f"[{'9' * 40}]", '["\\u00e9\\n"]', "[[[]]]", "[]", "[ ]", "[{}]", '["]", "["]'],
)  # fmt: skip
def test_values_at_a_seam_are_what_the_standard_parser_makes_of_them(text: str) -> None:
    assert repr(read(text)) == repr(json.loads(text))


@given(st.text(alphabet='[]{}",:0 1.eE-ntrue\\u', max_size=14))
def test_what_the_standard_parser_refuses_is_refused(text: str) -> None:
    text = f"[{text}"
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(DataError, match=r"set\.json is not valid JSON"):
            read(text)
    else:
        assert read(text) == expected


@pytest.mark.parametrize("broken", ['{"a": }', '{"a" 1}', '"open', "1 2", "[", "tru"])
def test_rows_before_a_fault_are_given_and_the_fault_is_numbered(broken: str) -> None:
    found: list[Any] = []
    with pytest.raises(DataError, match="row 3"):
        found.extend(elements(PATH, io.StringIO(f'[{{"a": 1}}, 2, {broken}, 4]')))
    assert found[:2] == [{"a": 1}, 2]


def test_a_fault_early_in_a_long_file_does_not_read_all_of_it() -> None:
    file = io.StringIO("[1, oops, " + "2," * 100_000 + "3]")
    with pytest.raises(DataError, match="row 2"):
        list(elements(PATH, file))
    assert file.tell() < 20_000
