"""The approximate index, built by a process of its own while the writer goes on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from unite.stores import lance
from unite.stores.exact import ExactStore
from unite.stores.filters import Not, PathMatches
from unite.stores.indexing import LEAST, WANTED_RECALL, build, is_building, wants_index
from unite.stores.lance import LanceStore
from unite.stores.protocol import Row, Stats
from unite.stores.state import LOCK, IndexFacts, read_facts, state_folder, write_facts

from .conftest import DIM, record, unit

COUNT = 3000


def clustered(count: int, seed: int = 0) -> list[Row]:
    random = np.random.default_rng(seed)
    raw = unit(40, DIM, seed=1)[random.integers(0, 40, count)] + 0.5 * unit(count, DIM, seed=seed)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    return [Row(record(f"s{seed}-{n:05}", path=f"/m/{n}"), raw[n]) for n in range(count)]


def until_ready(store: LanceStore, seconds: float = 300) -> Stats:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (stats := store.stats()).index in ("ready", "failed"):
            return stats
        time.sleep(0.1)
    raise AssertionError(store.stats())


def test_a_writer_starts_it_and_goes_on(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    rows, plain = clustered(COUNT), ExactStore(DIM)
    store.upsert(rows)
    store.tidy()
    more = clustered(200, seed=7)
    store.upsert(more)  # in the way of nothing, and nothing in its way
    plain.upsert(rows + more)
    query = unit(DIM, seed=3)
    assert len(store.search(query, 10)) == 10  # ready or not
    stats = until_ready(store)
    assert (stats.index, stats.note) == ("ready", "")
    assert stats.indexed >= COUNT
    assert stats.recall is not None
    assert stats.recall >= 0.9
    shares = []
    for number in range(40):
        query = rows[number * 50].vector
        true = {one.record.id for one in plain.search(query, 10)}
        shares.append(len(true & {one.record.id for one in store.search(query, 10)}) / 10)
    assert np.mean(shares) >= 0.9
    assert store.search(more[0].vector, 1)[0].record.id == more[0].record.id
    many = Not(PathMatches("/m/*0"))
    true = {one.record.id for one in plain.search(query, 10, many)}
    found = store.search(query, 10, many)
    assert all(many.admits(one.record) for one in found)
    assert len(true & {one.record.id for one in found}) >= 7
    few = PathMatches("/m/1?")
    assert store.search(query, 30, few) == plain.search(query, 30, few)
    assert store._builder is not None
    assert store._builder.wait() == 0


def test_only_one_builds_and_the_writer_does_not_wait(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    store.upsert(clustered(1100))
    folder = state_folder(str(tmp_path))
    folder.mkdir()
    with FileLock(folder / LOCK):
        assert is_building(folder)
        assert store.stats().index == "building"
        build(str(tmp_path), LEAST)
        store.tidy()
        assert store._builder is None
    assert not is_building(folder)
    assert store.stats().index == "none"
    assert store.stats().recall == 1.0


def test_a_folder_that_can_only_be_read_has_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    store.upsert(clustered(1100))
    state_folder(str(tmp_path)).mkdir()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refused)
    stats = store.stats()
    assert (stats.index, stats.count, stats.recall) == ("none", 1100, 1.0)


def test_a_failure_is_told_and_searches_stay_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    rows = clustered(1100)
    store.upsert(rows)
    monkeypatch.setattr("lancedb.index.IvfRq", lambda **_: None)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("lancedb.table.LanceTable.create_index", broken)
    build(str(tmp_path), LEAST)
    stats = store.stats()
    assert (stats.index, stats.note, stats.recall) == ("failed", "no room", 1.0)
    assert store.search(rows[5].vector, 1)[0].record.id == rows[5].record.id


def test_it_is_asked_for_while_much_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(lance, "start", lambda *asked: started.append(asked))
    monkeypatch.setattr(lance, "LOOK_EVERY", 500)
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    for seed in range(4):
        store.upsert(clustered(400, seed=seed))
    assert started == [(str(tmp_path), LEAST)]


def test_when_it_is_wanted() -> None:
    made = IndexFacts(identity="t", rows=3000, probes=8, recall=1.0)
    assert not wants_index(5000, 5000, None)
    assert wants_index(5001, 5000, None)
    assert not wants_index(LEAST, 0, None)
    assert not wants_index(5999, 2000, made)
    assert wants_index(6000, 2000, made)
    assert wants_index(6000, 2000, IndexFacts(identity="t", error="no room"))


def test_an_index_that_finds_too_little_is_told(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=LEAST)
    store.upsert(clustered(1100))
    state_folder(str(tmp_path)).mkdir(exist_ok=True)
    for recall, note in ((WANTED_RECALL, ""), (0.906, "finds 91% of the ten nearest")):
        facts = IndexFacts(identity=store.identity, rows=1100, probes=256, recall=recall)
        write_facts(state_folder(str(tmp_path)), facts)
        stats = store.stats()
        assert (stats.index, stats.recall) == ("ready", recall)
        assert note in stats.note
        assert bool(note) == bool(stats.note)


def test_facts_of_another_table_do_not_count(tmp_path: Path) -> None:
    facts = IndexFacts(identity="t", rows=3, probes=8, recall=0.5)
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path, "t") == facts
    assert read_facts(tmp_path, "u") is None
    (tmp_path / "index.json").write_text("{")
    assert read_facts(tmp_path, "t") is None


def test_where_the_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert state_folder("/a/lib") == Path("/a/lib/state")
    one, other = state_folder("s3://b/one"), state_folder("s3://b/two")
    assert one != other
    assert one.parent == other.parent == tmp_path / "unite"
