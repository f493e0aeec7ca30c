"""What every store must do; each test runs on all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unite.errors import LibraryError
from unite.stores.exact import ExactStore
from unite.stores.filters import EVERYTHING, AnyOf, Filter, HasModality, PathMatches
from unite.stores.protocol import Record, Row, Store

from .conftest import DIM, LABELS, NAMES, record, rows, unit

GLOBS = (
    None, "*", "*.png", "/m/a?b.png", "/m/a%b.png", "/m/a_b.png", "/m/a\\b.png", "*'*", "*\n*",
    "/m/[x].jpg", "/m/*/c.jpg", "/m/?/*", "*日本*", "*;--*", "/m/*.JPG", "nothing", "",
)  # fmt: skip
SETS = (None, {"image"}, {"image", "video"}, {"text+image"}, {"text"}, {"audio"}, set())


def where(labels: set[str] | None, glob: str | None) -> Filter:
    found = EVERYTHING if labels is None else AnyOf(tuple(map(HasModality, sorted(labels))))
    return found if glob is None else found & PathMatches(glob)


def held(store: Store, sources: list[str] | None = None) -> list[Record]:
    return sorted(store.records(sources), key=lambda one: one.id)


def test_rows_come_back_as_they_went_in(store: Store) -> None:
    full = record(
        "r'1", path="/ä/o'neil\n.mp4", source="/s.jsonl", modality="video", parts=3, start=0.25,
        end=7.5, text="two\n\nlines", size=1 << 40, mtime_ns=1_700_000_000_123_456_789,
        duration=7.25, width=640, height=480, tags=("a b", "o'neil", "ü"),
        meta={"item": "x", "a": "ü"},
    )  # fmt: skip
    vector = unit(DIM)
    store.upsert([Row(full, vector), Row(record("r2"), -vector)])
    back = store.get(["r2", "missing", "r'1"])
    assert [row.record for row in back] == [record("r2"), full]
    assert np.array_equal(back[1].vector, vector)
    assert back[1].vector.dtype == np.float32


def test_upsert_replaces_and_is_idempotent(store: Store) -> None:
    made = rows(20)
    for _ in range(3):
        store.upsert(made)
    assert store.count() == 20
    newer = Row(replace(made[4].record, size=99), -made[4].vector)
    store.upsert([newer])
    back = store.get([newer.record.id])[0]
    assert store.count() == 20
    assert back.record.size == 99
    assert np.array_equal(back.vector, newer.vector)


def test_the_last_of_equal_ids_in_one_write_wins(store: Store) -> None:
    store.upsert([Row(record("r", size=n), unit(DIM, seed=n)) for n in range(3)])
    assert [one.size for one in held(store)] == [2]


def test_delete_forgets_and_forgives(store: Store) -> None:
    store.upsert(rows(10))
    store.delete(["r001", "r001", "never"])
    store.delete([])
    assert [one.id for one in held(store)] == [f"r{n:03}" for n in range(10) if n != 1]


def test_more_ids_than_one_condition_holds(store: Store) -> None:
    vectors = unit(2500, DIM)
    store.upsert([Row(record(f"r{n:04}"), vectors[n]) for n in range(2500)])
    ids = [f"r{n:04}" for n in reversed(range(2500))]
    assert [row.record.id for row in store.get(ids)] == ids
    store.delete(ids[1:])
    assert [one.id for one in held(store)] == [ids[0]]


def test_records_by_source(store: Store) -> None:
    store.upsert([Row(record(f"{n}", source=f"/s{n % 3}"), unit(DIM, seed=n)) for n in range(9)])
    assert [one.id for one in held(store, ["/s2", "/s0"])] == ["0", "2", "3", "5", "6", "8"]
    assert held(store, []) == []


def test_stats_count_labels(store: Store) -> None:
    assert (store.stats().count, store.stats().modalities) == (0, {})
    store.upsert(rows(10))
    stats = store.stats()
    assert stats.count == store.count() == 10
    assert stats.modalities == {"image": 3, "text": 2, "text+image": 2, "video": 3}
    assert list(stats.modalities) == sorted(LABELS)
    assert stats.recall == 1.0
    assert stats.bytes is None or stats.bytes >= 10 * DIM * 4


@pytest.mark.parametrize("glob", GLOBS)
def test_filters_admit_the_same_in_every_store(store: Store, glob: str | None) -> None:
    made = rows(48)
    store.upsert(made)
    plain = ExactStore(DIM)
    plain.upsert(made)
    query = unit(DIM, seed=9)
    for labels in SETS:
        wanted = where(labels, glob)
        mine, theirs = store.search(query, 7, wanted), plain.search(query, 7, wanted)
        assert store.count(wanted) == plain.count(wanted)
        assert [one.record.id for one in mine] == [one.record.id for one in theirs]
        assert [one.score for one in mine] == [one.score for one in theirs]
        assert all(wanted.admits(one.record) for one in mine)


def test_the_patterns_above_tell_paths_apart() -> None:
    admitted = {
        glob: {n for n in NAMES if where(None, glob).admits(record("r", path=n))} for glob in GLOBS
    }
    assert len({frozenset(paths) for paths in admitted.values()}) >= 12


def test_equal_scores_stand_in_the_order_of_ids(store: Store) -> None:
    made = rows(30)
    store.upsert(made[::-1])
    found = store.search(made[0].vector, 10)
    assert [one.record.id for one in found] == [f"r{n:03}" for n in range(0, 30, 3)]
    (score,) = {one.score for one in found}
    assert score == pytest.approx(1.0, abs=1e-6)


def test_pages_continue_one_another(store: Store) -> None:
    store.upsert(rows(30))
    query = unit(DIM, seed=4)
    whole = store.search(query, 30)
    pages = [store.search(query, 7, offset=first) for first in range(0, 40, 7)]
    assert [one for page in pages for one in page] == whole
    assert pages[-1] == []


def test_nothing_is_wanted(store: Store) -> None:
    store.upsert(rows(3))
    assert store.search(unit(DIM), 0) == []


def test_scores_are_cosines(store: Store) -> None:
    made = rows(12)
    store.upsert(made)
    query = unit(DIM, seed=4)
    for one in store.search(query, 12):
        vector = store.get([one.record.id])[0].vector
        assert one.score == pytest.approx(float(query @ vector), abs=1e-6)


def test_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.search(unit(DIM), 5) == []
    assert held(store) == []
    assert store.count() == 0


def test_a_write_after_a_search_is_found_by_the_next(store: Store) -> None:
    made = rows(5)
    store.upsert(made[1:])
    store.search(made[0].vector, 3)
    store.upsert([Row(record("a-new-one"), made[0].vector)])
    assert store.search(made[0].vector, 1)[0].record.id == "a-new-one"
    store.delete(["a-new-one"])
    assert store.search(made[0].vector, 1)[0].record.id != "a-new-one"


def test_tidying_changes_no_answer(store: Store) -> None:
    for row in rows(12):
        store.upsert([row])
    store.delete(["r003"])
    query = unit(DIM, seed=8)
    before = store.search(query, 11)
    store.tidy()
    assert store.search(query, 11) == before
    assert store.count() == 11


@pytest.mark.parametrize("bad", [unit(DIM + 1), np.full(DIM, np.inf, np.float32)])
def test_a_wrong_vector_is_refused_and_nothing_is_written(store: Store, bad: np.ndarray) -> None:
    with pytest.raises(LibraryError):
        store.upsert([Row(record("good"), unit(DIM)), Row(record("bad"), bad)])
    assert store.count() == 0
    with pytest.raises(LibraryError):
        store.search(bad, 3)
