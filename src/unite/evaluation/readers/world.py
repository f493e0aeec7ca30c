"""The small world's tasks: a JSON file each, eval/SPLIT/TASK.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unite.data.records import parse_item
from unite.errors import DataError, ItemError, did_you_mean
from unite.evaluation.facts import Benchmark
from unite.evaluation.task import Task

_BEGUN = "world.part.json"
"""What a world has until it is whole."""
_KEYS = {"task", "family", "queries", "candidates", "positives", "excluded"}


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read every task beneath a world's `eval` folder, in order of name.

    Raises:
        DataError: The world is half drawn, or a file does not hold a task.
    """
    if (root / _BEGUN).exists():
        raise DataError(
            f"The small world in {root} is not whole: its making was interrupted.",
            "The same `unite world` again finishes it.",
        )
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
        row = json.loads(path.read_text(encoding="utf-8-sig"))
        return _task(row, path)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError, ItemError) as error:
        raise DataError(
            f"{path} does not hold a task: {error!r}.",
            "A task has task, family, queries, candidates and positives: see docs/world.md.",
        ) from error


def _task(row: Mapping[str, Any], path: Path) -> Task:
    if not isinstance(row, dict):
        raise TypeError(f"a task is a JSON object, not {type(row).__name__}")
    for key in ("task", "family"):
        if not isinstance(row[key], str):
            raise TypeError(f"{key} is a word, not {row[key]!r}")
    unknown = [key for key in row if key not in _KEYS]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}. {did_you_mean(unknown[0], _KEYS)}")
    folder = path.parent.resolve()
    queries = tuple(parse_item(query, folder) for query in row["queries"])
    candidates = tuple(parse_item(candidate, folder) for candidate in row["candidates"])
    number = {item.id: place for place, item in enumerate(candidates)}
    if len(number) != len(candidates):
        raise ValueError("two candidates have the same id")
    for what in ("positives", "excluded"):
        _check_named(row.get(what, {}), {str(query.id) for query in queries}, what)
    positives = tuple(
        frozenset(number[name] for name in row["positives"][str(query.id)]) for query in queries
    )
    bare = [query.id for query, answers in zip(queries, positives, strict=True) if not answers]
    if bare:
        raise ValueError(f"nothing answers the query {bare[0]!r}")
    excluded = row.get("excluded", {})
    for query, names in excluded.items():
        if both := set(names) & set(row["positives"][query]):
            raise ValueError(f"{min(both)!r} answers the query {query!r} and is excluded from it")
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


def _check_named(names: object, queries: set[str], what: str) -> None:
    """A string would be taken for one id a letter; a name of no query for nothing."""
    if not isinstance(names, dict):
        raise TypeError(f"{what} are an object of lists by query, not {names!r}")
    for query, listed in names.items():
        if not isinstance(listed, list):
            raise TypeError(f"{what} of {query!r} are a list of ids, not {listed!r}")
        if query not in queries:
            raise ValueError(f"{what} name {query!r}, which is no query")
