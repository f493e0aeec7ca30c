"""Records as columns of a LanceDB table, and tables of earlier versions brought up to date."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unite.errors import LibraryError
from unite.stores.protocol import Matrix, Record, Row, stack

IDENTITY = b"unite.table"
"""Key in the schema's metadata under which a table keeps a name that no other table has."""

_WORDS = ("id", "path", "source", "digest", "modality", "text")
_WHOLE = ("size", "mtime_ns", "parts")
_TIMES = ("start", "end")
_PLAIN = (*_WORDS, *_WHOLE, *_TIMES)
LATER = ("duration", "width", "height", "tags")
"""Columns that the first tables did not have."""

FIELDS = [*_PLAIN, *LATER, "meta"]
"""Every column but the vector."""


def schema(dim: int) -> Any:
    """The schema of a new table.

    Args:
        dim: Length of a vector.
    """
    import pyarrow as pa

    types = dict.fromkeys(_WHOLE, pa.int64()) | dict.fromkeys(_TIMES, pa.float64())
    fields = [
        pa.field(name, types.get(name, pa.string()), nullable=name in _TIMES)
        for name in (*_PLAIN, "meta")
    ]
    vector = pa.field("vector", pa.list_(pa.float32(), dim), nullable=False)
    identity = {IDENTITY: uuid.uuid4().hex.encode()}
    return pa.schema([*fields, *_later(), vector], metadata=identity)


def migrate(table: Any) -> None:
    """Add the columns that a table of an earlier version lacks; its rows hold null in them.

    Args:
        table: An open LanceDB table.

    Raises:
        LibraryError: It cannot be written.
    """
    import pyarrow as pa

    if not (missing := _missing(table)):
        return
    try:
        table.add_columns(pa.schema(missing))
    except (RuntimeError, OSError, ValueError) as error:
        table.checkout_latest()
        if _missing(table):  # else another process has done the same meanwhile
            raise LibraryError(
                f"The table was made by an earlier version and cannot be brought up to date:"
                f" {error}",
                "Open it once where it can be written.",
            ) from error


def to_arrow(rows: Sequence[Row], dim: int, like: Any) -> Any:
    """Rows as a table.

    Args:
        rows: The rows.
        dim: Length of a vector.
        like: Schema of the table they go into.
    """
    import pyarrow as pa

    matrix_ND = stack(rows, dim)
    names = (*_PLAIN, *LATER)
    columns: dict[str, Any] = {name: [getattr(row.record, name) for row in rows] for name in names}
    columns["meta"] = [json.dumps(dict(row.record.meta), sort_keys=True) for row in rows]
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(matrix_ND.ravel()), dim)
    return pa.table({name: columns[name] for name in like.names}, schema=like)


def to_records(table: Any) -> Iterator[Record]:
    """Records of a table or batch that has all fields.

    Args:
        table: What the engine returned.
    """
    for row in table.select(FIELDS).to_pylist():
        tags = tuple(row["tags"] or ())
        yield Record(**{**row, "tags": tags, "meta": json.loads(row["meta"])})


def to_matrix(table: Any, dim: int) -> Matrix:
    """The vector column of a table, shape (N, D).

    Args:
        table: What the engine returned.
        dim: Length of a vector.
    """
    parts = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
    flat = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return flat.reshape(-1, dim)


def _later() -> list[Any]:
    import pyarrow as pa

    types = {"duration": pa.float64(), "width": pa.int64(), "height": pa.int64()}
    return [pa.field(name, types.get(name, pa.list_(pa.string()))) for name in LATER]


def _missing(table: Any) -> list[Any]:
    return [field for field in _later() if field.name not in table.schema.names]
