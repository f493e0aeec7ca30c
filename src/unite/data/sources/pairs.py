"""Pair files: the released JSON form, and the same as JSONL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unite.data.records import read_rows
from unite.data.sources.source import Row, Source


def files(source: Source) -> list[Path]:
    """The pair file itself."""
    return [source.path]


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """Rows of the file.

    Raises:
        DataError: The file as a whole cannot be read.
    """
    folder = source.media or source.path
    folder = folder.resolve() if source.media else folder.parent.resolve()
    for number, value in read_rows(source.path):
        yield Row(number, f"{source.path.name}:{number}", value, folder)
