from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.fakes import Compass, parts
from tests.evaluation.test_runner import ANGLES, CLIPS, PICTURES, task

from unite.errors import DataError
from unite.evaluation.comparison import compare
from unite.evaluation.registry import benchmark_named
from unite.evaluation.runner import run
from unite.evaluation.saved import ranks_path, read_ranks, read_run, write_run

URBAN = benchmark_named("urban1k")
SETTINGS = {"seed": 0}
TASKS = [task({"a": {0}, "b": {2}, "c": {2, 1}}, PICTURES)]


def save(
    path: Path,
    changed: dict[str, float | None] | None = None,
    tasks: list = TASKS,
    settings: dict = SETTINGS,
) -> None:
    done = run(tasks, lambda nframes: Compass({**ANGLES, **(changed or {})}))
    annotations = {URBAN.name: URBAN.fingerprint(path.parent)}
    write_run(path, done, model="m", benchmarks=[URBAN], annotations=annotations,
              settings=settings)  # fmt: skip


def test_a_run_is_read_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    save(path, {"p1": None})
    there, done = read_run(path), run(TASKS, lambda nframes: Compass({**ANGLES, "p1": None}))
    (result,) = done.results
    assert there.scores == [result.score]
    assert there.model_ids == {"the model's own": "compass"}
    assert there.settings == {"seed": 0}
    assert URBAN.revision in there.revisions["urban1k"]
    assert URBAN.fingerprint(path.parent) in there.revisions["urban1k"]
    assert there.versions["numpy"] == np.__version__
    assert there.cases == {("t", "test"): list(result.cases)}
    assert [row["error"] for row in json.loads(path.read_text())["failures"]] == ["it is broken"]
    ranks = read_ranks(there)["t", "test"]
    assert {name: asked.ranks.tolist() for name, asked in ranks.items()} == {
        "q-a": [1], "q-b": [2], "q-c": [1, np.inf],
    }  # fmt: skip


def test_two_runs_are_paired_by_query(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    other = task({"a": {0}}, PICTURES, "alone")
    save(first)
    save(second, {"b": 2.1}, [*TASKS, other])  # b now finds its p2
    found = compare(first, second)
    (one,) = found.tasks
    assert (one.metric, one.first, one.second) == ("R@1", pytest.approx(2 / 3), 1.0)
    assert one.difference.mean == pytest.approx(1 / 3)
    assert one.difference.p == 1.0  # one changed query of three proves nothing
    assert found.only == ["alone (test): b.json alone"]


def test_runs_of_other_queries_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first)
    save(second, tasks=[task({"a": {0}}, PICTURES)])
    with pytest.raises(DataError, match="not asked alike in t"):
        compare(first, second)
    save(second, tasks=[task({"a": {0}, "b": {2}, "p2": {2, 1}}, PICTURES)])
    with pytest.raises(DataError, match="other queries of t"):
        compare(first, second)
    save(second, tasks=[task({"a": {0}, "b": {2}, "c": {2, 1}}, PICTURES + CLIPS)])
    with pytest.raises(DataError, match="not asked alike in t"):
        compare(first, second)
    save(second, tasks=[task({"a": {0}}, PICTURES, "u")])
    with pytest.raises(DataError, match="no task in common"):
        compare(first, second)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        read_run(tmp_path / "none.json")
    save(tmp_path / "a.json")
    ranks_path(tmp_path / "a.json").unlink()
    with pytest.raises(DataError, match="lies beside the JSON"):
        read_ranks(read_run(tmp_path / "a.json"))


def test_runs_on_other_annotations_are_refused(tmp_path: Path) -> None:
    captions = tmp_path / URBAN.folder / "caption"
    captions.mkdir(parents=True)
    (captions / "1.txt").write_text("a street")
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first)
    (captions / "1.txt").write_text("another street")
    save(second)
    with pytest.raises(DataError, match="other annotations of urban1k"):
        compare(first, second)


def test_ranks_of_another_run_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "v1.0", tmp_path / "v1.1"
    save(first)
    save(second, {"b": 2.1})
    assert compare(first, second).tasks[0].second == 1.0  # each has a file of its own
    ranks_path(first).write_bytes(ranks_path(second).read_bytes())
    with pytest.raises(DataError, match="does not belong to"):
        compare(first, second)


def test_a_run_of_another_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    save(path)
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "format": 1}))
    with pytest.raises(DataError, match="format 1, this version reads 2"):
        read_run(path)


def test_ranks_that_lack_a_task_are_told(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    other = task({"a": {0}}, PICTURES, "u")
    save(first, tasks=[other])
    digest = json.loads(first.read_text())["ranks"]
    for path in (first, second):
        save(path)
        row = json.loads(path.read_text())
        path.write_text(json.dumps({**row, "ranks": digest}))
    save(tmp_path / "c.json", tasks=[other])
    for path in (first, second):
        ranks_path(path).write_bytes(ranks_path(tmp_path / "c.json").read_bytes())
    with pytest.raises(DataError, match="other queries of t"):
        compare(first, second)


def test_what_differs_and_what_failed_is_told(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first)
    save(second, {"p1": None}, settings={"seed": 1})
    assert compare(first, second).notes == [
        "seed: 0 and 1",
        "b.json: 0 queries and 1 candidates could not be embedded; a gallery without these is "
        "easier for other queries",
    ]


def test_queries_about_one_medium_are_paired_together(tmp_path: Path) -> None:
    of = [replace(TASKS[0], query_groups=(0, 0, 1))]
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first, {"a": 2.0, "b": 0.1}, of)
    save(second, {"a": 0.1, "b": 2.1}, of)
    (one,) = compare(first, second).tasks
    assert one.difference.mean == pytest.approx(2 / 3)
    assert one.difference.queries == 3
    assert one.difference.p == 1.0  # both changes are one medium's: one coin


def test_p_is_corrected_for_the_number_of_tasks(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(8)]
    moved = task({name: {0} for name in names}, PICTURES, "moved")
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first, dict.fromkeys(names, 2.1), [moved, *TASKS])
    save(second, dict.fromkeys(names, 0.1), [moved, *TASKS])
    one, other = compare(first, second).tasks
    assert one.difference.p == pytest.approx(2 / 2**8, abs=0.005)
    assert one.corrected_p == 2 * one.difference.p
    assert (other.difference.p, other.corrected_p) == (1.0, 1.0)


def test_other_versions_and_frames_are_told(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save(first)
    save(second)
    row = json.loads(second.read_text())
    row["versions"]["numpy"], row["model_ids"] = "0.1", {"48": "compass"}
    second.write_text(json.dumps(row))
    frames, numpy = compare(first, second).notes
    assert frames == "frames: the model's own and 48"
    assert numpy.startswith("numpy: ")
    assert numpy.endswith(" and 0.1")


def test_pictures_in_memory_are_told_as_such(tmp_path: Path) -> None:
    path, picture = tmp_path / "run.json", Image.new("RGB", (2, 2))
    shown = replace(PICTURES[0], images=(picture,))
    angles = {**ANGLES, parts(shown): 2.5}
    tasks = [task({"a": {0}}, (shown, *PICTURES[1:]))]
    done = run(tasks, lambda nframes: Compass(angles))
    write_run(path, done, model="m", benchmarks=[], annotations={}, settings={})
    ((case,),) = read_run(path).cases.values()
    assert case.answer.images == ("<picture in memory>",)
