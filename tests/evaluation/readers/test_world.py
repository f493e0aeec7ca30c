from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from unite.errors import DataError
from unite.evaluation import registry
from unite.evaluation.readers.world import read_task
from unite.types import Modality
from unite.world.build import MARKER

ROW: dict[str, Any] = {
    "task": "text-to-image",
    "family": "coarse",
    "queries": [{"id": "q1", "text": "a"}, {"id": "q2", "text": "b"}],
    "candidates": [{"id": "x", "image": "x.png"}, {"id": "y", "video": "sub/y.mp4"}, {"id": "z", "image": "z.png"}],
    "positives": {"q1": ["y"], "q2": ["z", "x"]},
}  # fmt: skip


def write(folder: Path, row: object, name: str = "task.json") -> Path:
    path = folder / "eval" / "test" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row if isinstance(row, str) else json.dumps(row))
    return path


def test_a_task_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, ROW)
    task = read_task(path)
    assert (task.name, task.split, task.family) == ("text-to-image", "test", "coarse")
    assert [item.text for item in task.queries] == ["a", "b"]
    assert task.candidates[0].images == (str(path.resolve().parent / "x.png"),)
    assert task.positives == (frozenset({1}), frozenset({0, 2}))
    assert task.target_modality == (Modality.VIDEO, Modality.IMAGE)
    assert not task.excluded


def test_what_does_not_count_is_read(tmp_path: Path) -> None:
    task = read_task(write(tmp_path, {**ROW, "excluded": {"q2": ["y"]}}))
    assert task.excluded == (frozenset(), frozenset({1}))


def test_a_suite_is_read_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.json", "a.json"):
        write(tmp_path, {**ROW, "task": name}, name)
    world = registry.benchmark_named("world")
    assert [task.name for task in registry.read(world, tmp_path)] == ["a.json", "b.json"]
    with pytest.raises(DataError, match=r"Small world is not there.*unite world"):
        registry.read(world, tmp_path / "elsewhere")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        read_task(tmp_path / "none.json")


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[]",
        "3",
        {key: value for key, value in ROW.items() if key != "candidates"},
        {**ROW, "positives": {"q1": ["y"]}},
        {**ROW, "positives": {"q1": ["nobody"], "q2": ["x"]}},
        {**ROW, "positives": {"q1": [], "q2": ["x"]}},
        {**ROW, "queries": [{"id": "q1", "txt": "a"}]},
        {**ROW, "queries": 3},
        {**ROW, "task": 5},
        {**ROW, "family": None},
        {**ROW, "excluded": []},
        {**ROW, "positives": "x"},
        "[" * 100_000,
        {**ROW, "candidates": [{"id": name, "image": "x.png"} for name in "xxyz"]},
    ],
)
def test_a_file_that_is_no_task_is_refused_by_name(tmp_path: Path, row: object) -> None:
    with pytest.raises(DataError, match=r"task\.json"):
        read_task(write(tmp_path, row))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positives": {"q1": "y", "q2": ["z"]}}, "are a list of ids"),
        ({"excluded": {"q2": ["z"]}}, "answers the query 'q2' and is excluded"),
        ({"exclude": {"q2": ["y"]}}, "unknown key 'exclude'.*Did you mean 'excluded'"),
        ({"excluded": {"q3": ["y"]}}, "'q3', which is no query"),
        ({"positives": {**ROW["positives"], "q3": ["y"]}}, "'q3', which is no query"),
    ],
)
def test_a_slip_in_a_set_of_ones_own_is_told(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_task(write(tmp_path, {**ROW, **change}))


@pytest.mark.parametrize("name", ["carebench-general/t2v", "flickr30k", "mmeb-ImageNet-1K"])
def test_a_set_of_ones_own_does_not_pass_for_a_benchmark(tmp_path: Path, name: str) -> None:
    write(tmp_path, {**ROW, "task": name})
    with pytest.raises(DataError, match="which is a benchmark's"):
        registry.read(registry.benchmark_named("world"), tmp_path)


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    assert read_task(write(tmp_path, "\ufeff" + json.dumps(ROW))).name == "text-to-image"


def test_a_world_that_is_half_drawn_is_no_suite(tmp_path: Path) -> None:
    write(tmp_path, ROW)
    (tmp_path / MARKER).write_text("{}")
    with pytest.raises(DataError, match=r"not whole.*The same `unite world` again finishes it"):
        registry.read(registry.benchmark_named("world"), tmp_path)


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are Unicode")
def test_names_that_are_no_unicode_are_told(tmp_path: Path) -> None:
    world = registry.benchmark_named("world")
    path = write(tmp_path, ROW)
    path.parent.rename(path.parent.with_name("caf\udce9"))
    assert world.fingerprint(tmp_path)
    with pytest.raises(DataError, match="no Unicode text"):
        registry.read(world, tmp_path)


def test_media_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saved run names them, and is read elsewhere."""
    (tmp_path / "Urban1k" / "caption").mkdir(parents=True)
    (tmp_path / "Urban1k" / "image").mkdir()
    (tmp_path / "Urban1k" / "caption" / "1.txt").write_text("\ufeffa street", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    there, back = registry.read(registry.benchmark_named("urban1k"), Path())
    assert there.candidates[0].images == (str(tmp_path / "Urban1k" / "image" / "1.jpg"),)
    assert back.candidates[0].text == "a street"
