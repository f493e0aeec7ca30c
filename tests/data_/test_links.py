from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data_.sources.conftest import picture, put

from unite.data.item_folder import walk
from unite.data.sources import Source, source_files


def by_items(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path, _ in walk(folder, lambda path: None)]


def by_source(folder: Path) -> list[str]:
    found = source_files(Source(path=folder, kind="folder"))
    return [path.relative_to(folder.resolve()).as_posix() for path in found]


walks = pytest.mark.parametrize("names", [by_items, by_source])
Names = Callable[[Path], list[str]]


@walks
def test_folders_that_link_to_one_another_are_read_once_each(tmp_path: Path, names: Names) -> None:
    parts = [tmp_path / f"f{number}" for number in range(8)]
    for part in parts:
        put(part / "a.png", picture())
        for other in parts:
            if other != part:
                (part / other.name).symlink_to(other)
    assert names(tmp_path) == [f"f{number}/a.png" for number in range(8)]
    below = [(parts[0] / name).resolve() for name in names(parts[0])]
    assert sorted(below) == [part / "a.png" for part in parts]


@walks
def test_a_link_to_what_is_read_anyway_gives_no_second_name(tmp_path: Path, names: Names) -> None:
    put(tmp_path / "v1" / "a.png", picture())
    put(tmp_path / ".kept" / "b.png", picture())
    put(tmp_path / ".kept" / "in" / "c.png", picture())
    (tmp_path / "latest").symlink_to(tmp_path / "v1")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "shown").symlink_to(tmp_path / ".kept")
    (tmp_path / "twice").symlink_to(tmp_path / ".kept" / "in")
    assert names(tmp_path) == ["shown/b.png", "shown/in/c.png", "v1/a.png"]


@walks
def test_a_link_to_itself_ends_no_walk(tmp_path: Path, names: Names) -> None:
    put(tmp_path / "a.png", picture())
    (tmp_path / "loop").symlink_to("loop")
    assert [name for name in names(tmp_path) if name != "loop"] == ["a.png"]
