"""Opening the files of a benchmark, and what is said when they are not as published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unite.data.sources.tables import read_table
from unite.errors import DataError, ItemError
from unite.evaluation.facts import Benchmark, files_below


@contextmanager
def as_published(benchmark: Benchmark, path: Path) -> Iterator[None]:
    """Tell of a file that is not in the published layout.

    Raises:
        DataError: Reading failed inside.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    except (
        ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, ItemError,
    ) as error:  # fmt: skip
        raise DataError(
            f"{path} is not in the layout of {benchmark.title}: {error!r}.",
            f"Expected: {benchmark.layout}.",
        ) from error


def load_json(path: Path) -> Any:
    """A JSON file whole."""
    return json.loads(path.read_text(encoding="utf-8-sig"))


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table whole: one broken row would be a question that nobody asks.

    Raises:
        DataError: A row is broken, or the table breaks off.
    """
    for _, row in read_table(path):
        if isinstance(row, DataError):
            raise row
        yield row


def grouped(names: Sequence[str | None]) -> tuple[int, ...]:
    """Query groups: equal for equal names, None for one by itself; empty if all are alone."""
    known: dict[str | int, int] = {}
    found = tuple(
        known.setdefault(place if name is None else name, len(known))
        for place, name in enumerate(names)
    )
    return found if len(known) < len(found) else ()


def clips_by_name(root: Path, suffixes: tuple[str, ...]) -> Mapping[str, Path]:
    """Every clip beneath a folder by its name without suffix; the first in order of path."""
    found: dict[str, Path] = {}
    for path in sorted(files_below(root)):
        if path.suffix.lower() in suffixes:
            found.setdefault(path.stem, path)
    return found
