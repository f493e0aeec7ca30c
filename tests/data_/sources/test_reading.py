import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data_.sources.conftest import Read, bad, good, lines, picture, put, shard, table

from unite.data.records import BadRow
from unite.data.sources import KINDS, Source, fingerprint, read_source
from unite.data.sources.recognise import recognise
from unite.errors import DataError
from unite.types import Modality, Pair

PAIR = {"query": {"text": "a"}, "candidate": {"image": "a.png"}}
MMEB = {"qry": "a", "qry_image_path": "", "pos_text": "b", "pos_image_path": ""}


def make(kind: str, root: Path) -> Path:
    """The least there can be of each kind."""
    if kind == "pairs":
        return put(root / "set.jsonl", lines([PAIR]))
    if kind == "unite":
        return put(root / "MSCOCO" / "metadata.json", json.dumps([PAIR])).parents[1]
    if kind == "mmeb":
        return table(root / "CIRR" / "original-00000-of-00001.parquet", [MMEB]).parents[1]
    if kind == "hf":
        return table(root / "data" / "train.parquet", [{"query": "a", "candidate": "b"}]).parents[1]
    if kind == "webdataset":
        return shard(root / "a.tar", [("1.png", picture()), ("1.txt", b"t")])
    put(root / "a.txt", "t")
    return put(root / "a.png", picture()).parent


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_recognised_and_read(kind: str, tmp_path: Path, read: Read) -> None:
    path = make(kind, tmp_path / "data")
    columns = {"query": "query", "candidate": "candidate"} if kind == "hf" else {}
    assert recognise(Source(path=path)) == kind
    (pair,) = good(read(path, **columns))
    assert pair.source == "named"
    assert read(path, kind=kind, **columns) == [pair]


@pytest.mark.parametrize("kind", KINDS)
def test_an_instruction_stands_before_every_query(kind: str, tmp_path: Path, read: Read) -> None:
    path = make(kind, tmp_path / "data")
    columns = {"query": "query", "candidate": "candidate"} if kind == "hf" else {}
    (plain,) = good(read(path, **columns))
    (told,) = good(read(path, instruction="Find it.", **columns))
    assert told.query.instruction == "Find it."
    assert told.candidate == plain.candidate
    assert told.query_id != plain.query_id
    assert told.query.modality == plain.query.modality


def test_an_instruction_stands_before_the_querys_own(tmp_path: Path, read: Read) -> None:
    rows = [{**PAIR, "query": {"text": "a", "instruction": "own"}}, [1], {"query": 3}]
    found = read(put(tmp_path / "s.jsonl", lines(rows)), instruction="all")
    assert good(found)[0].query.instruction == "all\nown"
    assert len(bad(found)) == 2


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("set.json", "[]", "pairs"),
        ("metadata.json", "[]", "unite"),
        ("rows.csv", "a,b\n1,2\n", "hf"),
        ("x/metadata.jsonl", '{"file_name": "a.png", "text": "t"}', "folder"),
        ("x/metadata.json", '[{"file_name": "a.png", "text": "t"}]', "folder"),
        ("x/metadata.json", '[{"query": {}, "candidate": {}}]', "unite"),
        ("x/rows.jsonl", "{}", "hf"),
    ],
)
def test_recognition_by_what_lies_there(tmp_path: Path, name: str, text: str, kind: str) -> None:
    path = put(tmp_path / name, text)
    assert recognise(Source(path=path if path.parent == tmp_path else path.parent)) == kind


def test_what_is_unknown_or_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'mmeb'"):
        Source(path=tmp_path, kind="mmebs")
    with pytest.raises(DataError, match="give the kind hf"):
        recognise(Source(path=tmp_path / "none"))
    with pytest.raises(DataError, match="holds no pairs"):
        recognise(Source(path=tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_changes_with_the_source_only(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / "data")
    columns = {"query": "query", "candidate": "candidate"} if kind == "hf" else {}
    source = Source(path=path, **columns)
    before = fingerprint(source)
    assert fingerprint(source) == before
    assert fingerprint(replace(source, instruction="other")) != before
    changed = next(one for one in (path, *path.rglob("*")) if one.is_file())
    os.utime(changed, ns=(1, 1))
    assert fingerprint(source) != before


def test_a_fingerprint_changes_where_media_are_found_elsewhere(tmp_path: Path) -> None:
    source = Source(path=make("unite", tmp_path / "data"))
    before = fingerprint(source)
    put(tmp_path / "data" / "a.png", picture())  # unpacked at the root after a first look
    assert fingerprint(source) != before


cells = st.none() | st.text(max_size=4) | st.sampled_from(["a.png", "b.mp4", "<|image_1|>"])
anything = st.recursive(
    cells | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["bytes", "path", "text", "image", "query", "x"]), inner, max_size=2
        )
    ),
    max_leaves=5,
)
objects = st.dictionaries(
    st.sampled_from(["query", "candidate", "negative", "file_name", "caption", "target_modal"]),
    anything,
)


@settings(max_examples=60)
@given(rows=st.lists(anything | objects, max_size=5), kind=st.sampled_from(["pairs", "hf", "folder"]))  # fmt: skip
def test_no_row_whatever_costs_another(
    rows: list[Any], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Between two good rows anything may stand; both come out, and nothing is lost silently."""
    folder = tmp_path_factory.mktemp("fuzz")
    put(folder / "a.png", picture())
    whole = {
        "pairs": PAIR,
        "hf": {"query": "words", "candidate": "a.png"},
        "folder": {"file_name": "a.png", "caption": "words"},
    }[kind]
    path = put(folder / "captions.jsonl", lines([whole, *rows, whole]))
    source = Source(
        path=folder if kind == "folder" else path,
        kind=kind,
        query="query" if kind == "hf" else None,
        candidate="candidate" if kind == "hf" else None,
    )
    found = list(read_source(source, "s", folder / "extracted"))
    assert isinstance(found[0], Pair)
    assert found[-1] == found[0]
    assert {row.number for row in found if isinstance(row, BadRow)} <= set(range(len(rows) + 3))
    if kind == "pairs":
        assert len(found) == len(rows) + 2
    else:
        assert len(found) >= len(rows) + 2


def test_a_blank_text_is_none(tmp_path: Path, read: Read) -> None:
    rows = [
        {"query": {"text": " ", "image": "a.png"}, "candidate": {"text": "t"}},
        {"query": {"text": "t"}, "candidate": {"text": "\n"}},
        {"query": {"text": "t"}, "candidate": {"text": "u"}, "negative": [{"text": ""}]},
    ]
    found = read(put(tmp_path / "s.jsonl", lines(rows)))
    assert [pair.query.modality for pair in good(found)] == [Modality.IMAGE]
    assert [row.number for row in bad(found)] == [2, 3]
    assert all("empty" in row.error for row in bad(found))
