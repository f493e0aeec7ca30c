"""The matrix and the engine answer alike, and the matrix is made once for all processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from unite.stores import lance
from unite.stores.exact import ExactStore
from unite.stores.filters import EVERYTHING, HasModality, PathMatches
from unite.stores.lance import LanceStore
from unite.stores.matrix import VIEW
from unite.stores.protocol import Row
from unite.stores.snapshot import Snapshot
from unite.stores.state import state_folder

from .conftest import DIM, LABELS, record, unit


def many(count: int, seed: int = 0) -> list[Row]:
    vectors = unit(count, DIM, seed=seed)
    facts = [record(f"r{n:05}", path=f"/m/{n}", modality=LABELS[n % 4]) for n in range(count)]
    return [Row(one, vector) for one, vector in zip(facts, vectors, strict=True)]


@pytest.mark.parametrize("limit", [0, 10_000])
def test_writes_of_every_kind_are_followed(tmp_path: Path, limit: int) -> None:
    store, plain = LanceStore.create(str(tmp_path), DIM, exact_limit=limit), ExactStore(DIM)
    random = np.random.default_rng(0)
    for step in range(6):
        new = many(300, seed=step)
        chosen = [new[n] for n in random.choice(300, 80, replace=False)]
        gone = [f"r{n:05}" for n in random.choice(300, 30)]
        for one in (store, plain):
            one.upsert(chosen)
            one.delete(gone)
            if step % 2:
                one.tidy()
        for where in (EVERYTHING, HasModality("video"), PathMatches("*7")):
            query = unit(DIM, seed=100 + step)
            assert store.search(query, 9, where) == plain.search(query, 9, where)


def test_what_a_reader_built_serves_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LanceStore.create(str(tmp_path), DIM)
    store.upsert(many(50))
    found = store.search(unit(DIM), 5)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Snapshot, "_fetch", never)
    assert LanceStore.open(str(tmp_path)).search(unit(DIM), 5) == found


def test_where_no_matrix_can_be_kept_the_engine_answers_and_says_so(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM)
    store.upsert(many(50))
    found = store.search(unit(DIM), 5)
    (tmp_path / "state" / VIEW).unlink()
    (
        tmp_path / "state" / VIEW
    ).mkdir()  # a folder in its place stands for whatever cannot be written
    again = LanceStore.open(str(tmp_path))
    assert again.search(unit(DIM), 5) == found
    assert "No matrix can be kept" in again.stats().note


def test_one_search_reads_one_version(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM)
    store.upsert(many(50))
    before = store._newest()
    query = unit(DIM)
    found = before.search(query, 50, EVERYTHING, None)
    store.upsert(many(50, seed=5))
    store.delete(["r00001"])
    store.tidy()
    assert before.search(query, 50, EVERYTHING, None) == found
    assert len(store.search(query, 50)) == 49


def test_a_process_that_stopped_while_it_made_the_matrix_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "LOCK_SECONDS", 0.1)
    store, plain = LanceStore.create(str(tmp_path), DIM), ExactStore(DIM)
    for one in (store, plain):
        one.upsert(many(50))
    folder = state_folder(str(tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "matrix.lock"):
        assert store.search(unit(DIM), 5) == plain.search(unit(DIM), 5)
        assert "No matrix can be kept" in store.stats().note
    assert store.search(unit(DIM), 5) == plain.search(unit(DIM), 5)
    assert store._newest().is_exact  # it comes back with the lock
    assert store.stats().note == ""
