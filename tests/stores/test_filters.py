"""Every engine admits what the plain Python of the filters admits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unite.stores.columns import Columns
from unite.stores.exact import ExactStore
from unite.stores.filters import (
    EVERYTHING,
    AllOf,
    AnyOf,
    Between,
    Filter,
    HasModality,
    HasTag,
    Not,
    PathMatches,
)
from unite.stores.lance import LanceStore
from unite.stores.protocol import Record, Row, Store

from .conftest import DIM, LABELS, in_memory, record, unit

DAY = 86_400

WORDS = st.text("ab/%_\\'\"?*[]();-,\nüÄ日.", max_size=6)
TAGS = st.sampled_from(["a", "A", "o'neil", "a,b", 'say "x"', "%", "_", "\\", "", "日本"])
PARTS = st.sampled_from(["/", "/", "a", "b", "ab", ".", ".jpg", "%", "_", "\\", "'", "ü", "\n"])
PATHS = WORDS | st.lists(PARTS, max_size=7).map("".join)
GLOBS = PATHS | st.lists(PARTS | st.sampled_from(["*", "*", "*", "?"]), max_size=6).map("".join)
COMMON = st.sampled_from(["*", "*/a/*", "/a/*", "*.jpg", "/a/*.jpg", "*/a.jpg", "/*/ab", "*a*b*"])
RECORDS = st.builds(
    lambda **facts: record("r", **facts),
    path=PATHS,
    modality=st.sampled_from(LABELS),
    size=st.integers(0, 4),
    mtime_ns=st.integers(-2 * 10**9, 3 * 10**9),
    duration=st.none() | st.sampled_from([0.0, 0.1, 1.0, 2.5]),
    tags=st.lists(TAGS, max_size=3, unique=True).map(tuple),
)
BOUNDS = {
    "size": st.none() | st.integers(-1, 5),
    "modified": st.none() | st.integers(-3, 4),
    "duration": st.none() | st.sampled_from([0.0, 0.1, 0.5, 2.5, 3.0]),
}
LEAVES = st.one_of(
    st.builds(HasModality, st.sampled_from([*LABELS, "audio", "image' OR 'a'='a"])),
    st.builds(PathMatches, GLOBS | COMMON),
    st.builds(HasTag, TAGS),
    *(st.builds(Between, st.just(name), span, span) for name, span in BOUNDS.items()),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(AllOf, st.lists(inner, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", params=["exact", "lance", "qdrant"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    if request.param == "exact":
        return ExactStore(DIM)
    if request.param == "qdrant":
        return in_memory()
    return LanceStore.create(str(tmp_path_factory.mktemp("db")), DIM)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    records=st.lists(RECORDS, min_size=8, max_size=16),
    filters=st.lists(FILTERS, min_size=4, max_size=10),
)
def test_every_engine_admits_what_plain_python_admits(
    engine: Store, records: list[Record], filters: list[Filter]
) -> None:
    named = [replace(one, id=f"r{number}") for number, one in enumerate(records)]
    engine.delete([one.id for one in engine.records()])
    engine.upsert([Row(one, unit(DIM, seed=n)) for n, one in enumerate(named)])
    for where in filters:
        wanted = {one.id for one in named if where.admits(one)}
        found = engine.search(unit(DIM, seed=99), 99, where)
        assert {one.record.id for one in found} == wanted
        assert engine.count(where) == len(wanted)


@pytest.mark.parametrize(
    ("glob", "path", "admitted"),
    [
        ("*.png", "/a/b.png", True),
        ("*.png", "/a/b.PNG", False),
        ("*.png", "/a/b.png.bak", False),
        ("/a/?.png", "/a/b.png", True),
        ("/a/?.png", "/a/bb.png", False),
        ("/a/*", "/a/deep/er/b.png", True),
        ("*[x]*", "/a/[x].png", True),
        ("*[x]*", "/a/x.png", False),
        ("*.png", "/a/line\nbreak.png", True),
        ("/a.b", "/aXb", False),
        ("", "/a", False),
        ("*", "", True),
    ],
)
def test_a_glob_speaks_of_the_whole_path(glob: str, path: str, admitted: bool) -> None:
    assert PathMatches(glob).admits(record("r", path=path)) is admitted


def test_labels_are_compared_whole() -> None:
    fused = record("r", modality="text+image")
    assert HasModality("text+image").admits(fused)
    assert not HasModality("image").admits(fused)
    assert not AnyOf(()).admits(fused)
    assert EVERYTHING.admits(fused)


def test_conditions_hold_together() -> None:
    where = HasModality("image") & PathMatches("*.png")
    assert where.admits(record("r", path="/a.png"))
    assert not where.admits(record("r", path="/a.jpg"))
    assert not where.admits(record("r", path="/a.png", modality="text"))
    assert EVERYTHING & EVERYTHING == EVERYTHING


def test_what_is_not_known_is_neither_long_nor_short() -> None:
    still = record("r")
    assert not Between("duration", low=0).admits(still)
    assert not Between("duration", high=9).admits(still)
    assert Not(Between("duration", low=0)).admits(still)


def test_the_bounds_of_a_day() -> None:
    day = Between("modified", DAY, 2 * DAY)
    at = [DAY * 10**9 - 1, DAY * 10**9, 2 * DAY * 10**9 - 1, 2 * DAY * 10**9]
    admitted = [day.admits(record("r", mtime_ns=ns)) for ns in at]
    assert admitted == [False, True, True, False]


@pytest.mark.parametrize("bound", [0, 2**62, 10**12])
def test_bounds_beyond_what_a_time_can_be(tmp_path: Path, bound: int) -> None:
    store = LanceStore.create(str(tmp_path), DIM)
    store.upsert([Row(record("r"), unit(DIM))])
    assert store.count(Between("modified", high=bound)) == (bound > 0)


def test_a_mask_has_a_place_for_each_record() -> None:
    records = [record("a", size=1), record("b", size=9)]
    assert Columns(records).mask(Between("size", low=5)).tolist() == [False, True]
    assert Columns([]).mask(PathMatches("*")).shape == (0,)
    assert Columns(records).mask(EVERYTHING).dtype == np.bool_
