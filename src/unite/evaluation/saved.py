"""A run on disk: one JSON file of scores and settings, and beside it the ranks of every query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unite.data.records import item_row, parse_item
from unite.errors import DataError
from unite.evaluation.facts import Benchmark
from unite.evaluation.metrics import Ranks
from unite.evaluation.results import Case, Result, Score
from unite.evaluation.runner import Run
from unite.evaluation.versions import versions
from unite.media.source import file_digest
from unite.whole import whole, write_text

FORMAT = 2
Key = tuple[str, str]
"""Task and split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A run as it was read back.

    Attributes:
        path: Its JSON file.
        model: What the user called the model.
        model_ids: Ids of the model by the frames it was opened with.
        versions: Of Python and of what shapes vectors.
        settings: What the run was told.
        revisions: Of the data, by benchmark: as published, and a hash of the annotations read.
        annotations: Those hashes alone.
        scores: One for each task.
        cases: Queries that went wrong, by task and split.
        ranks_digest: SHA-256 of the file of ranks that belongs to it.
    """

    path: Path
    model: str
    model_ids: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, Any]
    revisions: dict[str, str]
    annotations: dict[str, str]
    scores: list[Score]
    cases: dict[Key, list[Case]]
    ranks_digest: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one query.

    Attributes:
        ranks: Of its answers.
        group: Equal for queries about one medium; None for one by itself.
    """

    ranks: Ranks
    group: int | None


def write_run(
    path: Path,
    run: Run,
    *,
    model: str,
    benchmarks: Sequence[Benchmark],
    annotations: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """Write a run, each file atomically; the JSON comes last and holds a hash of the ranks.

    Args:
        path: The JSON file; ranks lie beside it as ``.ranks.parquet``.
        run: The results.
        model: What the user called the model.
        benchmarks: What was run.
        annotations: The fingerprint of each when it was read.
        settings: What the run was told.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_ranks(ranks_path(path), run.results)
    row = {
        "format": FORMAT,
        "model": model,
        "model_ids": {_frames(nframes): name for nframes, name in run.model_ids.items()},
        "versions": versions(),
        "settings": dict(settings),
        "benchmarks": {one.name: _source(one, annotations) for one in benchmarks},
        "ranks": file_digest(ranks_path(path)),
        "scores": [result.score.to_json() for result in run.results],
        "failures": [
            {"task": result.score.task, "split": result.score.split, **asdict(failure)}
            for result in run.results
            for failure in result.failures
        ],
        "cases": [_case_row(result.score, case) for result in run.results for case in result.cases],
    }  # fmt: skip
    write_text(path, json.dumps(row, indent=2, default=_in_memory) + "\n")


def read_run(path: Path) -> Saved:
    """Read what `write_run` wrote.

    Raises:
        DataError: The file is not there, or is no run.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["format"] != FORMAT:
            raise ValueError(f"format {row['format']}, this version reads {FORMAT}")
        return Saved(
            path=path,
            model=row["model"],
            model_ids=row["model_ids"],
            versions=row["versions"],
            settings=row["settings"],
            revisions={
                name: f"{facts['revision']} (annotations {facts['annotations']})"
                for name, facts in row["benchmarks"].items()
            },
            annotations={name: facts["annotations"] for name, facts in row["benchmarks"].items()},
            scores=[Score.from_json(score) for score in row["scores"]],
            cases=_cases(row["cases"]),
            ranks_digest=row["ranks"],
        )
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {error.strerror}.",
            "Check the path; a run is made by: unite eval run SUITE -m MODEL -o OUT.json",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no run: {error!r}.", "Make one: unite eval run SUITE -m MODEL -o OUT.json"
        ) from error


def ranks_path(path: Path) -> Path:
    """Where the ranks of a run lie."""
    return path.with_name(path.name.removesuffix(".json") + ".ranks.parquet")


def read_ranks(run: Saved) -> dict[Key, dict[str, Asked]]:
    """The ranks of a run's answers, by task and split, then by query.

    Raises:
        DataError: They are not there, or are another run's.
    """
    import pyarrow.parquet as pq

    file = ranks_path(run.path)
    if not file.exists():
        raise DataError(f"{file} is not there.", "It lies beside the JSON of its run.")
    if run.ranks_digest != file_digest(file):
        raise DataError(
            f"{file} does not belong to {run.path}.",
            "Run it again: unite eval run SUITE -m MODEL -o OUT.json embeds only what is new.",
        )
    found: dict[Key, dict[str, Asked]] = {}
    for row in pq.read_table(file).to_pylist():
        ranks = [np.inf if rank is None else rank for rank in row["ranks"]]
        queries = found.setdefault((row["task"], row["split"]), {})
        queries[row["query"]] = Asked(np.array(ranks, np.float64), row["group"])
    return found


def _in_memory(picture: object) -> str:
    """What stands for a picture that has no file."""
    from PIL.Image import Image

    if not isinstance(picture, Image):
        raise TypeError(f"{type(picture).__name__} cannot be written as JSON")
    return "<picture in memory>"


def _source(benchmark: Benchmark, annotations: Mapping[str, str]) -> dict[str, str]:
    return {
        "revision": benchmark.revision,
        "source": benchmark.source,
        "annotations": annotations[benchmark.name],
    }


def _frames(nframes: int | None) -> str:
    return "the model's own" if nframes is None else str(nframes)


def _write_ranks(path: Path, results: Sequence[Result]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("task", pa.string()), ("split", pa.string()), ("query", pa.string()),
            ("group", pa.int64()), ("ranks", pa.list_(pa.int64())),
            ("hits", pa.list_(pa.string())), ("scores", pa.list_(pa.float32())),
        ]
    )  # fmt: skip
    rows = [
        {
            "task": result.score.task, "split": result.score.split, "query": query,
            "group": result.query_groups[place] if result.query_groups else None,
            "ranks": [None if np.isinf(rank) else int(rank) for rank in ranks],
            "hits": [name for name, _ in hits], "scores": [score for _, score in hits],
        }
        for result in results
        for place, (query, ranks, hits) in enumerate(
            zip(result.query_ids, result.ranks, result.hits, strict=True)
        )
    ]  # fmt: skip
    with whole(path) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema), draft)


def _case_row(score: Score, case: Case) -> dict[str, Any]:
    return {
        "task": score.task,
        "split": score.split,
        "rank": None if np.isinf(case.rank) else int(case.rank),
        "query": item_row(case.query),
        "answer": item_row(case.answer),
        "answer_score": case.answer_score,
        "hits": [
            {"item": item_row(item), "score": value, "right": right}
            for item, value, right in case.hits
        ],
    }


def _cases(rows: Sequence[Mapping[str, Any]]) -> dict[Key, list[Case]]:
    found: dict[Key, list[Case]] = {}
    for row in rows:
        case = Case(
            query=parse_item(row["query"]),
            answer=parse_item(row["answer"]),
            answer_score=row["answer_score"],
            rank=np.inf if row["rank"] is None else float(row["rank"]),
            hits=[(parse_item(hit["item"]), hit["score"], hit["right"]) for hit in row["hits"]],
        )
        found.setdefault((row["task"], row["split"]), []).append(case)
    return found
