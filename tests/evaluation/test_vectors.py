from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_a_cut_shard_is_embedded_again_and_written_anew(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    cache.add("a", vector(1))
    cache.flush()
    (array,) = (tmp_path / "m").glob("*.npy")
    array.write_bytes(array.read_bytes()[:-4])
    again = VectorCache(tmp_path, "m")
    assert "a" not in again
    again.add("a", vector(2))
    again.flush()
    assert VectorCache(tmp_path, "m")["a"].tolist() == [2, 2, 2]


def test_what_shall_not_last_is_known_to_this_run_only(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    cache.add("a", vector(1), lasting=False)
    cache.flush()
    assert cache["a"].tolist() == [1, 1, 1]
    assert VectorCache(tmp_path, "m").get("a") is None


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


def test_a_picture_in_memory_is_known_by_its_pixels() -> None:
    keys = {item_key(Item(images=(Image.new("L", (8, 8), n % 100),))) for n in range(200)}
    assert len(keys) == 100  # though many of them stood at the same address
    assert item_key(Item(images=(Image.new("L", (4, 16), 0),))) not in keys


def test_a_name_that_no_file_can_have_is_a_key_as_well() -> None:
    assert item_key(Item(images=("a\0b",))) != item_key(Item(images=("a",)))


def test_an_empty_shard_is_embedded_again(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    cache.add("a", vector(1))
    cache.flush()
    (shard,) = (tmp_path / "m").glob("*.npy")
    shard.write_bytes(b"")  # as a power cut may leave it
    assert "a" not in VectorCache(tmp_path, "m")
