from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.fakes import Compass
from tests.evaluation.test_runner import ANGLES, PICTURES, task

from unite.errors import DataError
from unite.evaluation.comparison import compare
from unite.evaluation.registry import benchmark_named
from unite.evaluation.runner import run
from unite.evaluation.saved import ranks_path, read_ranks, read_run, write_run

URBAN = benchmark_named("urban1k")
TASKS = [task({"a": {0}, "b": {2}, "c": {2, 1}}, PICTURES)]


def save(path: Path, changed: dict[str, float | None] | None = None, tasks: list = TASKS) -> None:
    done = run(tasks, lambda nframes: Compass({**ANGLES, **(changed or {})}))
    write_run(path, done, model="m", benchmarks=[URBAN], data=path.parent,
              settings={"seed": 0})  # fmt: skip


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
    ranks = read_ranks(path)["t", "test"]
    assert {name: rank.tolist() for name, rank in ranks.items()} == {
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
    with pytest.raises(DataError, match="other queries of t"):
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
        read_ranks(tmp_path / "a.json")
