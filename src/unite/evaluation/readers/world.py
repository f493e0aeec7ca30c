"""The small world's tasks: a JSON file each, eval/SPLIT/TASK.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unite.data.records import parse_item
from unite.errors import DataError, ItemError
from unite.evaluation.facts import Benchmark
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read every task beneath a world's `eval` folder, in order of name."""
    return [
        replace(read_task(path), metrics=benchmark.metrics)
        for path in sorted(root.glob("eval/*/*.json"))
    ]


def read_task(path: Path) -> Task:
    """Read one task file.

    Args:
        path: JSON with `task`, `family`, `queries`, `candidates` and `positives`; `excluded` where
            candidates do not count for a query.

    Raises:
        DataError: The file is not there or does not hold a task.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return _task(row, path)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, ItemError) as error:
        raise DataError(
            f"{path} does not hold a task: {error!r}.",
            "A task has task, family, queries, candidates and positives: see docs/world.md.",
        ) from error


def _task(row: Mapping[str, Any], path: Path) -> Task:
    folder = path.parent.resolve()
    queries = tuple(parse_item(query, folder) for query in row["queries"])
    candidates = tuple(parse_item(candidate, folder) for candidate in row["candidates"])
    number = {item.id: place for place, item in enumerate(candidates)}
    if len(number) != len(candidates):
        raise ValueError("two candidates have the same id")
    positives = tuple(
        frozenset(number[name] for name in row["positives"][str(query.id)]) for query in queries
    )
    bare = [query.id for query, answers in zip(queries, positives, strict=True) if not answers]
    if bare:
        raise ValueError(f"nothing answers the query {bare[0]!r}")
    excluded = row.get("excluded", {})
    return Task(
        name=row["task"],
        split=path.parent.name,
        family=row["family"],
        queries=queries,
        candidates=candidates,
        positives=positives,
        target_modality=tuple(candidates[min(answers)].modality for answers in positives),
        excluded=tuple(
            frozenset(number[name] for name in excluded.get(str(query.id), ())) for query in queries
        )
        if excluded
        else (),
    )
