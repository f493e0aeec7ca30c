from __future__ import annotations

from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.stores.lance import LanceStore
from unite.stores.opening import create_store, open_store

from .conftest import DIM, rows


def test_a_folder_is_lancedb(tmp_path: Path) -> None:
    made = create_store(str(tmp_path), DIM)
    assert isinstance(made, LanceStore)
    made.upsert(rows(2))
    assert open_store(str(tmp_path)).count() == 2


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("qdrant://h:6333/c", r"no store knows. Did you mean 'qdrant\+http"),
        ("s4://bucket/x", "no store knows. Known: az, gs,"),
        ("qdrant+http://h:6333", "names no server and collection"),
        ("qdrant+http:///c", "names no server and collection"),
        ("qdrant+http://h/c?shard=2", "'shard' is no option here. Did you mean 'shards'"),
        ("qdrant+http://h/c?shards=none", "not a number from 1"),
    ],
)
def test_what_is_no_location(location: str, message: str) -> None:
    with pytest.raises(LibraryError, match=message):
        create_store(location, DIM)


def test_a_location_becomes_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("unite.stores.qdrant.connect", lambda url: url)
    monkeypatch.setattr(
        "unite.stores.qdrant.QdrantStore.create",
        lambda *where, **options: asked.append((*where, options)),
    )
    create_store("qdrant+https://h:6333/behind/a/proxy/c?shards=6&replicas=2", DIM)
    options = {"shards": 6, "replicas": 2}
    assert asked == [("https://h:6333/behind/a/proxy", "c", DIM, options)]
