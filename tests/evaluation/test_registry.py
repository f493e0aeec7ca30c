from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from unite.errors import DataError
from unite.evaluation.registry import (
    BENCHMARKS,
    SUITES,
    benchmark_named,
    read,
    read_all,
    select,
)
from unite.evaluation.results import METRICS
from unite.evaluation.tasks import mmeb


def test_every_benchmark_of_the_paper_is_there() -> None:
    names = {benchmark.name for benchmark in BENCHMARKS}
    assert len(names) == len(BENCHMARKS)
    assert {"flickr30k", "mscoco", "sharegpt4v", "urban1k", "docci", "msrvtt", "msvd", "didemo",
            "carebench-general", "carebench-spatial", "carebench-temporal", "webvid-covr",
            "world"} == {name for name in names if not name.startswith("mmeb-")}  # fmt: skip
    assert SUITES == ("image-text", "video", "composed", "mmeb", "world")


def test_mmeb_has_36_tasks_in_four_groups_20_of_them_in_distribution() -> None:
    tasks = select(["mmeb"])
    assert len(tasks) == 36
    sizes = {group: len(select([f"mmeb:{group}"])) for group in mmeb.GROUPS}
    assert sizes == {"classification": 10, "vqa": 10, "retrieval": 12, "grounding": 4}
    assert sum(bool(task.in_distribution) for task in tasks) == 20
    assert {task.main_score for task in tasks} == {"P@1"}


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_facts_are_whole(benchmark: object, tmp_path: Path) -> None:
    from unite.evaluation.facts import Benchmark

    assert isinstance(benchmark, Benchmark)
    assert hasattr(import_module(f"unite.evaluation.readers.{benchmark.reader}"), "read")
    assert set(benchmark.metrics) <= set(METRICS)
    for text in (benchmark.layout, benchmark.protocol, benchmark.revision, benchmark.licence,
                 benchmark.source, *(need.source for need in benchmark.needs)):  # fmt: skip
        assert text.strip()
    for score in benchmark.published:
        assert score.task.partition("/")[0] == benchmark.name
        assert 0 < score.value < 100
        assert score.where
    with pytest.raises(DataError) as told:
        read(benchmark, tmp_path)
    for need in (need for need in benchmark.needs if not need.optional):
        assert need.source in str(told.value)
        assert str(tmp_path / benchmark.folder / need.path) in str(told.value)


def test_frames_are_those_of_the_paper() -> None:
    frames = {benchmark.name: benchmark.nframes for benchmark in BENCHMARKS if benchmark.nframes}
    assert frames == {"msrvtt": 48, "msvd": 48, "didemo": 48, "carebench-general": 32,
                      "carebench-spatial": 32, "carebench-temporal": 32, "webvid-covr": 16}  # fmt: skip


def test_names_are_chosen_once_and_in_order() -> None:
    chosen = select(["didemo", "video", "flickr30k"])
    assert [one.name for one in chosen][:3] == ["flickr30k", "msrvtt", "msvd"]
    assert len(chosen) == 7
    with pytest.raises(DataError, match="Did you mean 'msrvtt'"):
        select(["msrvt"])
    with pytest.raises(DataError, match="no benchmark 'x'"):
        benchmark_named("x")


def test_the_page_names_every_benchmark_with_its_folder() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    for benchmark in BENCHMARKS:
        if benchmark.suite != "mmeb":
            assert f"`{benchmark.name}`" in page
        assert f"`{benchmark.folder}/`" in page or benchmark.folder == "."


def test_a_fingerprint_is_of_the_annotations_and_not_of_media(tmp_path: Path) -> None:
    root = tmp_path / "MSVD"
    root.mkdir()
    (root / "test_list.txt").write_text("a")
    msvd = benchmark_named("msvd")
    before = msvd.fingerprint(tmp_path)
    (root / "clip.avi").write_text("media")
    (root / "notes.txt").write_text("not needed")
    assert msvd.fingerprint(tmp_path) == before
    (root / "test_list.txt").write_text("b")
    assert msvd.fingerprint(tmp_path) != before


def test_a_fingerprint_covers_a_folder_of_captions(tmp_path: Path) -> None:
    urban, captions = benchmark_named("urban1k"), tmp_path / "Urban1k" / "caption"
    captions.mkdir(parents=True)
    (captions / "1.txt").write_text("a")
    before = urban.fingerprint(tmp_path)
    (captions / "1.txt").write_text("b")
    assert urban.fingerprint(tmp_path) != before


def world(data: Path, name: str = "t.json", **changes: object) -> Path:
    row = {
        "task": "t", "family": "fine", "queries": [{"id": "q", "text": "x"}],
        "candidates": [{"id": "a", "text": "y"}], "positives": {"q": ["a"]}, **changes,
    }  # fmt: skip
    (data / "eval" / "s").mkdir(parents=True, exist_ok=True)
    (data / "eval" / "s" / name).write_text(json.dumps(row))
    return data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"queries": [{"id": "q", "text": "x"}, {"id": "q", "text": "z"}]}, "the id 'q'"),
        ({"positives": {"q": []}}, "nothing answers the query"),
        ({"queries": [{"id": "\ud800", "text": "x"}], "positives": {"\ud800": ["a"]}}, "Unicode"),
    ],
)
def test_tasks_that_could_not_be_counted_are_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    (tmp_path / "world.json").write_text("{}")
    with pytest.raises(DataError, match=said):
        read(benchmark_named("world"), world(tmp_path, **changes))


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("{}")
    world(tmp_path, "a.json")
    with pytest.raises(DataError, match="same name"):
        read(benchmark_named("world"), world(tmp_path, "b.json"))


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 2 .*: docci, msvd\..*unite eval list docci"):
        read_all(select(["docci", "msvd"]), tmp_path)
    with pytest.raises(DataError, match="DOCCI is not there"):
        read_all(select(["docci"]), tmp_path)
