from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from unite.stores.matrix import GONE, VIEW, Fetch, MappedMatrix, Rows, load, renew

from .conftest import DIM, unit

ALL = unit(200, DIM)


class Engine:
    """Hands out the vectors of rows, and remembers which were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, rows: Rows) -> Iterator[tuple[Rows, np.ndarray]]:
        self.asked = rows.tolist()
        for first in range(0, len(rows), 7):
            block = rows[first : first + 7][::-1]
            yield block, ALL[block.astype(int)]


def rows(*numbers: int) -> Rows:
    return np.array(numbers, np.uint64)


def held(matrix: MappedMatrix) -> dict[int, np.ndarray]:
    pairs = zip(matrix.rows_S.tolist(), matrix.vectors_SD, strict=True)
    return {row: vector for row, vector in pairs if row != int(GONE)}


def check(matrix: MappedMatrix | None, wanted: set[int]) -> None:
    assert matrix is not None
    found = held(matrix)
    assert found.keys() == wanted
    assert all(np.array_equal(found[row], ALL[row]) for row in wanted)


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    engine = Engine()
    first = renew(tmp_path, DIM, "t", 1, rows(*range(50)), engine)
    assert sorted(engine.asked) == list(range(50))
    check(first, set(range(50)))
    second = renew(tmp_path, DIM, "t", 2, rows(*range(10, 60)), engine)
    assert sorted(engine.asked) == list(range(50, 60))
    check(second, set(range(10, 60)))
    assert (second.version, second.file) == (2, first.file)
    check(load(tmp_path, DIM), set(range(10, 60)))
    check(first, set(range(50)))  # who mapped the version before still has it


def test_a_file_of_mostly_empty_places_is_begun_anew(tmp_path: Path) -> None:
    engine = Engine()
    first = renew(tmp_path, DIM, "t", 1, rows(*range(50)), engine)
    second = renew(tmp_path, DIM, "t", 2, rows(*range(30, 60)), engine)
    assert sorted(engine.asked) == list(range(50, 60))
    check(second, set(range(30, 60)))
    assert len(second.rows_S) == 30
    assert [path.name for path in tmp_path.glob("vectors-*")] == [second.file] != [first.file]
    check(first, set(range(50)))


def test_another_table_shares_nothing(tmp_path: Path) -> None:
    engine = Engine()
    renew(tmp_path, DIM, "t", 1, rows(1, 2), engine)
    check(renew(tmp_path, DIM, "u", 1, rows(1, 2, 3), engine), {1, 2, 3})
    assert engine.asked == [1, 2, 3]


def test_an_empty_table(tmp_path: Path) -> None:
    check(renew(tmp_path, DIM, "t", 1, rows(), Engine()), set())
    check(renew(tmp_path, DIM, "t", 2, rows(4), Engine()), {4})
    check(renew(tmp_path, DIM, "t", 3, rows(), Engine()), set())


def test_a_kill_in_the_middle_leaves_the_last_version(tmp_path: Path) -> None:
    renew(tmp_path, DIM, "t", 1, rows(*range(20)), Engine())

    def killed(wanted: Rows) -> Iterator[tuple[Rows, np.ndarray]]:
        yield wanted[:3], np.full((3, DIM), 9, np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renew(tmp_path, DIM, "t", 2, rows(*range(30)), killed)
    check(load(tmp_path, DIM), set(range(20)))
    check(renew(tmp_path, DIM, "t", 3, rows(*range(40)), Engine()), set(range(40)))


@pytest.mark.parametrize("before", [0, 20])
@pytest.mark.parametrize("at", ["vectors", "view"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, before: int, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a new file is begun, of which nobody knows yet."""
    if before:
        renew(tmp_path, DIM, "t", 1, rows(*range(before)), Engine())
    was = {path: path.stat().st_size for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def fetch(wanted: Rows) -> Iterator[tuple[Rows, np.ndarray]]:
        yield from Engine()(wanted[:9])
        if at == "vectors":
            full()

    monkeypatch.setattr(np, "savez", full)
    for version in (2, 3):
        with pytest.raises(OSError, match="No space left"):
            renew(tmp_path, DIM, "t", version, rows(*range(100, 150)), fetch)
    assert {path: path.stat().st_size for path in tmp_path.iterdir()} == was
    if before:
        check(load(tmp_path, DIM), set(range(before)))


@pytest.mark.parametrize("fault", ["cut view", "no view", "short vectors", "no vectors"])
def test_what_cannot_be_read_is_built_again(tmp_path: Path, fault: str) -> None:
    engine: Fetch = Engine()
    made = renew(tmp_path, DIM, "t", 1, rows(*range(20)), engine)
    view, vectors = tmp_path / VIEW, tmp_path / made.file
    if fault == "cut view":
        view.write_bytes(view.read_bytes()[:100])
    elif fault == "no view":
        view.unlink()
    elif fault == "short vectors":
        vectors.write_bytes(vectors.read_bytes()[:100])
    else:
        vectors.unlink()
    assert load(tmp_path, DIM) is None
    check(renew(tmp_path, DIM, "t", 1, rows(*range(20)), engine), set(range(20)))
    check(load(tmp_path, DIM), set(range(20)))
