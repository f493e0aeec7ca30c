"""Items in Parquet: a column for each key of the item file, or one of whole rows as JSON.

Arrow orders the keys of all rows alike: the columns' order is the order of the prompt's parts.
A column `item`, a JSON string a row, keeps each row's own order and wins over all others.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.records import ITEM_KEYS, BadRow, parse_row
from unite.data.sources.tables import decoded
from unite.errors import DataError, did_you_mean
from unite.media.suffixes import suffix_of
from unite.types import Item

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

WHOLE = "item"
_IDS = ("id", "idx")
_BATCH = 64  # rows in memory at a time; each may hold a picture


def read_table(path: Path) -> Iterator[Item | BadRow]:
    """Yield the rows, a row group at a time; relative paths stand beside the file.

    Raises:
        DataError: The file cannot be read, or has columns that are no keys of an item.
    """
    import pyarrow as pa

    folder = path.parent.resolve()
    with _opened(path) as file:
        columns = _columns(path, file.schema_arrow.names)
        try:
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                for cells in decoded(batch):
                    number += 1
                    yield parse_row(number, _row(number, cells), folder)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error


def count_rows(path: Path) -> int:
    """The number of rows, from the file's footer."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def _opened(path: Path) -> ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _columns(path: Path, names: list[str]) -> list[str]:
    if WHOLE in names:
        return [name for name in names if name in (WHOLE, *_IDS)]
    unknown = [name for name in names if name not in ITEM_KEYS]
    if unknown:
        raise DataError(
            f"{path} has a column {unknown[0]!r}, which is no key of an item.",
            f"{did_you_mean(unknown[0], ITEM_KEYS)} Rename it or leave it out.",
        )
    return names


def _row(number: int, cells: Any) -> Any:
    """A row in the form of the item file; an empty cell is an absent key."""
    if isinstance(cells, DataError):
        return cells
    given = {key: _cell(value) for key, value in cells.items()}
    given = {key: value for key, value in given.items() if value is not None}
    if WHOLE not in cells:
        return given
    if WHOLE not in given:
        return DataError(f"Row {number} has no item.")
    try:
        row = json.loads(given.pop(WHOLE))
    except (ValueError, TypeError, RecursionError) as error:
        return DataError(f"The item of row {number} is not JSON: {getattr(error, 'msg', error)}.")
    return {**given, **row} if isinstance(row, dict) else row


def _cell(value: Any) -> Any:
    """Text and paths as they are; stored bytes as a `data:` URI."""
    if isinstance(value, list):
        return [_cell(one) for one in value]
    if isinstance(value, bytes):
        return _uri(value)
    if not isinstance(value, Mapping):
        return value
    if "bytes" not in value:  # a clip; without any field it is none
        return value if any(field is not None for field in value.values()) else None
    stored, times = value["bytes"], {k: value[k] for k in ("start", "end") if k in value}
    path = value.get("path") if stored is None else _uri(stored)
    return {"path": path, **times} if path is not None and times else path


def _uri(data: Any) -> Any:
    if not isinstance(data, bytes):
        return data
    kind, _ = mimetypes.guess_type(f"x{suffix_of(data)}")
    return f"data:{kind or 'application/octet-stream'};base64,{base64.b64encode(data).decode()}"


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"Cannot read {path}: {reason}.", "Is it whole, and Parquet?")
