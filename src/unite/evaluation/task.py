"""A retrieval task: queries, a gallery, and which of it answers which query."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unite.data.records import parse_item
from unite.errors import DataError, ItemError
from unite.types import Item, Modality


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite.

    Attributes:
        name: The task.
        split: The part of the suite it belongs to.
        family: What it tests: coarse, fine, temporal, composed, questions, mixed.
        queries: What is asked.
        candidates: The gallery.
        positives: Candidate numbers that answer each query, in order of the queries.
        target_modality: The modality of each query's answer.
    """

    name: str
    split: str
    family: str
    queries: tuple[Item, ...]
    candidates: tuple[Item, ...]
    positives: tuple[frozenset[int], ...]
    target_modality: tuple[Modality, ...]


def read_task(path: Path) -> Task:
    """Read one task file of the small world's form.

    Args:
        path: JSON with `task`, `family`, `queries`, `candidates` and `positives`.

    Raises:
        DataError: The file is not there or does not hold a task.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return _task(row, path)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, ItemError) as error:
        raise DataError(f"{path} does not hold a task: {error!r}.") from error


def _task(row: Mapping[str, Any], path: Path) -> Task:
    folder = path.resolve().parent
    queries = tuple(parse_item(query, folder) for query in row["queries"])
    candidates = tuple(parse_item(candidate, folder) for candidate in row["candidates"])
    number = {item.id: place for place, item in enumerate(candidates)}
    if len(number) != len(candidates):
        raise ValueError("two candidates have the same id")
    positives = tuple(
        frozenset(number[name] for name in row["positives"][str(query.id)]) for query in queries
    )
    return Task(
        name=row["task"],
        split=path.parent.name,
        family=row["family"],
        queries=queries,
        candidates=candidates,
        positives=positives,
        target_modality=tuple(candidates[min(answers)].modality for answers in positives),
    )


def read_suite(directory: Path) -> list[Task]:
    """Read every task beneath a world's `eval` folder, in order of name.

    Raises:
        DataError: There are none.
    """
    root = directory / "eval"
    paths = sorted(root.glob("*/*.json"))
    if not paths:
        raise DataError(
            f"{root} holds no tasks.", "Make the small world first: unite world DIR --size 2000"
        )
    return [read_task(path) for path in paths]
