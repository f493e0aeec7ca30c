"""Tables of any common form, row by row: Parquet, JSONL, JSON, CSV, TSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.records import read_rows
from unite.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv")
_BATCH = 256  # rows of Parquet in memory at a time; each may hold a picture
_UNCLOSED = "unexpected end of data"
"""What csv says at the end of a file whose last quote holds all rows that follow it."""


def read_table(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows with their numbers, counted from 1; a broken row as the error it raised.

    Raises:
        DataError: The file as a whole cannot be read, or breaks off.
    """
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _csv(path)
    return read_rows(path)


def column_names(path: Path) -> list[str]:
    """The columns of a table; of JSON those of its first row.

    Raises:
        DataError: It cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error
    first = next((row for _, row in read_table(path)), None)
    return list(first) if isinstance(first, dict) else []


def all_names(path: Path) -> list[str]:
    """The columns of a table; of JSON those of all its rows, which are read for it.

    Raises:
        DataError: It cannot be read; of JSON that breaks off the rows before tell.
    """
    if path.suffix.lower() not in (".json", ".jsonl"):
        return column_names(path)
    names: dict[str, None] = {}
    try:
        for _, row in read_rows(path):
            if isinstance(row, dict):
                names |= dict.fromkeys(row)
    except DataError:
        if not names:
            raise
    return list(names)


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 1
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from enumerate(decoded(batch), number)
                number += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def decoded(batch: pa.RecordBatch) -> Iterator[Any]:
    """The rows of a batch; one that does not decode becomes the error, its neighbours stay."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # text that is not UTF-8, a time beyond the calendar
        for place in range(batch.num_rows):
            try:
                yield from batch.slice(place, 1).to_pylist()
            except (ValueError, OverflowError) as error:
                yield DataError(f"The row cannot be decoded: {error}.")


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            number = 0
            while True:
                number += 1
                try:
                    row = next(reader, None)
                except csv.Error as error:
                    if str(error) == _UNCLOSED:
                        raise DataError(
                            f"{path} breaks off in row {number}: a quote there is never closed.",
                            "Close it, or double it if it is meant.",
                        ) from error
                    yield number, DataError(f"Row {number} is not CSV: {error}.")
                    continue
                if row is None:
                    return
                yield number, _whole(number, row)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _whole(number: int, row: dict[Any, Any]) -> Any:
    if None in row or None in row.values():
        return DataError(f"Row {number} has not as many cells as the table has columns.")
    return row


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"Cannot read {path}: {reason}.", "Is it whole, and named for its form?")
