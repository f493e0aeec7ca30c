from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from unite.library.known import Known
from unite.library.scan import Kind, Source
from unite.stores.exact import ExactStore
from unite.stores.protocol import Record, Row


def record(path: str, part: int = 0, **other: object) -> Record:
    facts = Record(
        id=f"{path}#{part}", path=path, source=path, digest="d", modality="text", size=5, mtime_ns=9
    )
    return replace(facts, **other)  # type: ignore[arg-type]


def source(path: str, size: int = 5, mtime_ns: int = 9) -> Source:
    return Source(path, Kind.TEXT, size, mtime_ns)


def test_current_means_same_size_same_time_and_whole() -> None:
    known = Known([record("/a", n, parts=2) for n in (1, 2)] + [record("/half", 1, parts=2)])
    assert known.is_current(source("/a"))
    assert not known.is_current(source("/a", size=6))
    assert not known.is_current(source("/a", mtime_ns=10))
    assert not known.is_current(source("/half"))
    assert not known.is_current(source("/new"))
    assert set(known.sources) == {"/a", "/half"}


def test_parts_of_two_states_are_not_current() -> None:
    known = Known([record("/a", 1, parts=2), record("/a", 2, parts=2, mtime_ns=8)])
    assert not known.is_current(source("/a"))


def with_store(*records: Record) -> tuple[Known, ExactStore]:
    store = ExactStore(4)
    store.upsert([Row(one, np.eye(4, dtype=np.float32)[0]) for one in records])
    return Known(records), store


def test_a_twin_is_its_own_then_a_vanished_one_then_any(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.touch()
    alive, dead = record(str(here)), record(str(tmp_path / "dead"))
    known, store = with_store(alive, dead)
    new = record("/new")
    assert known.rows(store, [alive])[alive.id].record == alive
    assert known.rows(store, [new])[new.id].record == dead
    known, store = with_store(alive)
    assert known.rows(store, [new])[new.id].record == alive


def test_equal_bytes_of_another_modality_are_no_twin() -> None:
    known, store = with_store(record("/a"))
    assert known.rows(store, [record("/b", modality="image"), record("/c", digest="e")]) == {}
    own = record("/a", modality="image")
    assert known.rows(store, [own]) == {}


def test_a_row_written_anew_since_is_no_twin() -> None:
    old = record("/a")
    known, store = with_store(old)
    store.upsert([Row(replace(old, digest="newer"), np.eye(4, dtype=np.float32)[1])])
    assert known.rows(store, [record("/b")]) == {}
    store.delete([old.id])
    assert known.rows(store, [record("/b")]) == {}
