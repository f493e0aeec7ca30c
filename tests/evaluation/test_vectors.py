from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from unite.evaluation.vectors import SHARD, VectorCache, item_key
from unite.types import Clip, Item


def vector(number: int) -> np.ndarray:
    return np.full(3, number, np.float32)


def test_vectors_are_read_back_from_full_and_flushed_shards(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    for number in range(SHARD + 5):
        cache.add(str(number), vector(number))
    assert len(list((tmp_path / "m").glob("*.npy"))) == 1
    cache.flush()
    again = VectorCache(tmp_path, "m")
    for number in (0, SHARD - 1, SHARD, SHARD + 4):
        assert again[str(number)].tolist() == cache[str(number)].tolist() == [number] * 3
    assert "9999" not in again
    with pytest.raises(KeyError):
        again["9999"]


def test_a_shard_without_names_does_not_count(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    cache.add("a", vector(1))
    cache.flush()
    (names,) = (tmp_path / "m").glob("*.json")
    names.unlink()  # as if the machine had died between the two files
    assert "a" not in VectorCache(tmp_path, "m")


def test_in_memory_nothing_is_written(tmp_path: Path) -> None:
    cache = VectorCache(None, "m")
    for number in range(SHARD + 1):
        cache.add(str(number), vector(number))
    cache.flush()
    assert cache["0"].tolist() == [0, 0, 0]


def test_a_key_is_of_content_and_not_of_the_id(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    item = Item(text="a", images=(str(path),), id="x")
    key = item_key(item)
    assert item_key(Item(text="a", images=(str(path),), id="y")) == key
    assert item_key(Item(text="b", images=(str(path),))) != key
    assert item_key(Item(text="a", images=(str(path),), instruction="i")) != key
    assert item_key(Item(videos=(Clip("v", 0, 1),))) != item_key(Item(videos=(Clip("v", 0, 2),)))
    path.write_bytes(b"another")
    assert item_key(item) != key
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 0))
    assert item_key(item) != key
