"""What Qdrant adds, in its local mode; what every store does: test_exact, test_filters."""

from __future__ import annotations

import warnings

import pytest
from qdrant_client import QdrantClient

from unite.errors import LibraryError
from unite.stores.filters import PathMatches
from unite.stores.qdrant import QdrantStore
from unite.stores.qdrant_filter import _is_exact, path_keys

from .conftest import DIM, in_memory, rows, unit


@pytest.fixture(autouse=True)
def _quiet() -> object:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
        yield


def test_points_are_named_by_our_ids_alone() -> None:
    store = in_memory()
    store.upsert(rows(4))
    store.upsert(rows(4))
    points, _ = store._client.scroll("records", limit=99)
    assert len(points) == 4
    other = in_memory()
    other.upsert(rows(4)[::-1])
    again, _ = other._client.scroll("records", limit=99)
    assert {point.id for point in points} == {point.id for point in again}


def test_a_collection_is_found_again() -> None:
    client = QdrantClient(":memory:")
    QdrantStore.create(client, "c", DIM).upsert(rows(5))
    again = QdrantStore(client, "c")
    assert (again.dim, again.count()) == (DIM, 5)
    with pytest.raises(LibraryError, match=r"no collection 'd'\. Index into"):
        QdrantStore(client, "d")


def test_a_collection_in_use_is_not_taken() -> None:
    client = QdrantClient(":memory:")
    QdrantStore.create(client, "c", DIM)
    store = QdrantStore.create(client, "c", DIM)  # empty: what an interrupted attempt left
    with pytest.raises(LibraryError, match="in use"):
        QdrantStore.create(client, "c", DIM + 1)
    store.upsert(rows(1))
    with pytest.raises(LibraryError, match="in use"):
        QdrantStore.create(client, "c", DIM)


def test_common_globs_ask_for_no_list_of_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_memory()
    store.upsert(rows(24))

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(QdrantStore, "_paths", never)
    for glob in ("*", "/m/*", "*.jpg", "*/deep/*", "/m/sub/*.jpg", "/m/a_b.png"):
        assert store.count(PathMatches(glob)) == sum(
            PathMatches(glob).admits(row.record) for row in rows(24)
        )
    for glob in ("/m/a*", "*b.png", "/m/?.jpg", "/m/*/x/*", "*.tar.gz", "*/a/b/*"):
        assert not _is_exact(glob)


def test_keys_of_a_path() -> None:
    keys = {"^/", "^/a/", "^/a/b/", "=/a/", "=/b/", "$/c.tar.gz", "$.gz"}
    assert set(path_keys("/a/b/c.tar.gz")) == keys
    assert path_keys("c") == []


def test_a_server_that_does_not_answer_is_an_error_with_a_remedy() -> None:
    from unite.stores.opening import open_store

    with pytest.raises(LibraryError, match=r"does not answer.*Start it"):
        open_store("qdrant+http://127.0.0.1:9/photos")


def test_stats_say_that_all_is_compared() -> None:
    store = in_memory()
    store.upsert(rows(8))
    stats = store.stats()
    assert (stats.count, stats.index, stats.recall) == (8, "none", 1.0)
    assert store.search(unit(DIM), 3, offset=6) == store.search(unit(DIM), 9)[6:]
