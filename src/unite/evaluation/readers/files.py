"""Opening the files of a benchmark, and what is said when they are not as published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unite.errors import DataError, ItemError
from unite.evaluation.facts import Benchmark


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
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ItemError) as error:
        raise DataError(
            f"{path} is not in the layout of {benchmark.title}: {error!r}.",
            f"Expected: {benchmark.layout}.",
        ) from error


def load_json(path: Path) -> Any:
    """A JSON file whole."""
    return json.loads(path.read_text(encoding="utf-8"))


def clips_by_name(root: Path, suffixes: tuple[str, ...]) -> Mapping[str, Path]:
    """Every clip beneath a folder by its name without suffix; the first in order of path."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in suffixes:
            found.setdefault(path.stem, path)
    return found
