"""A vector file: its columns, the facts in its metadata, and how one is written whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unite.data.vectors.precision import Precision
from unite.data.vectors.rows import Row
from unite.errors import DataError
from unite.whole import whole

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = ("id", "modality", "error", "note")
NUMBER = "row"
"""A column of files that hold only some rows of the input: their numbers, from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What all vectors of one output have in common.

    Attributes:
        model: What the user called the model; only told.
        model_id: Hash of all that shapes a vector.
        dim: Coordinates a vector.
        precision: What a coordinate is stored as.
    """

    model: str = field(compare=False)
    model_id: str
    dim: int
    precision: Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts(Kind):
    """What the metadata of a file says.

    Attributes:
        rows: Rows in it.
        failed: How many of them have no vector.
        first: The number of its first row in the input, from 0.
        last: Whether the input ends with it.
        digest: Of all input rows from the very first to its last.
    """

    rows: int
    failed: int
    first: int
    last: bool
    digest: str

    @property
    def kind(self) -> Kind:
        """What it shares with the other files of one output."""
        return Kind(**{one.name: getattr(self, one.name) for one in fields(Kind)})

    @property
    def end(self) -> int:
        """The number of the row after its last."""
        return self.first + self.rows


def read_facts(path: Path) -> Facts:
    """Read what a file says about itself.

    Raises:
        DataError: It cannot be read, or is no file of ours.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} is no whole Parquet file: {error}.", "--restart replaces it."
        ) from error
    said = {key.decode(): value.decode(errors="replace") for key, value in metadata.items()}
    try:
        return Facts(
            model=said["model"],
            model_id=said["model_id"],
            dim=int(said["dim"]),
            precision=Precision(said["precision"]),
            rows=int(said["rows"]),
            failed=int(said["failed"]),
            first=int(said["first"]),
            last=said["last"] == "True",
            digest=said["digest"],
        )
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path} was not written by `unite embed`.",
            "Name another output; --restart replaces this one.",
        ) from error


def table_of(rows: Sequence[Row], kind: Kind, numbers: Sequence[int] | None = None) -> pa.Table:
    """Put rows into a table.

    Args:
        rows: What to put there.
        kind: Length and precision of the vectors.
        numbers: The rows' own numbers, where they do not follow each other.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {
        name: pa.array([_sayable(getattr(row, name)) for row in rows], pa.string())
        for name in PLAIN
    }
    ordered = ("id", "modality", "embedding", "error", "note")
    columns["embedding"] = _vectors(rows, kind)
    table = pa.table({name: columns[name] for name in ordered})
    return table if numbers is None else table.append_column(NUMBER, pa.array(numbers, pa.int64()))


def with_facts(schema: pa.Schema, facts: Facts) -> pa.Schema:
    """The schema with the facts as its metadata."""
    return schema.with_metadata({key: str(value) for key, value in asdict(facts).items()})


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write a file whole or not at all, a row group a table.

    Raises:
        DataError: The disk is full, or not ours to write to; no half file is left.
    """
    import pyarrow.parquet as pq

    words = [name for name in PLAIN if name != "id"]
    try:
        with (
            whole(path) as draft,
            pq.ParquetWriter(draft, schema, use_dictionary=words) as writer,
        ):
            for table in tables:
                writer.write_table(table.replace_schema_metadata(schema.metadata))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {os.strerror(error.errno) if error.errno else error}.",
            "What is written stays; make room and give the same command again.",
        ) from error


def total(parts: Sequence[Facts]) -> Facts:
    """The facts of all parts of an output as of one file."""
    rows, failed = (sum(getattr(part, name) for part in parts) for name in ("rows", "failed"))
    return replace(parts[-1], rows=rows, failed=failed, first=parts[0].first)


def _vectors(rows: Sequence[Row], kind: Kind) -> pa.Array:
    import pyarrow as pa

    present = [row.embedding is not None for row in rows]
    stored = np.zeros((len(rows), kind.precision.width(kind.dim)), kind.precision.stored_as)
    if any(present):
        vectors_ND = np.stack([row.embedding for row in rows if row.embedding is not None])
        stored[present] = kind.precision.store(vectors_ND)
    absent = pa.array(np.logical_not(present), pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(stored.ravel()), stored.shape[1], mask=absent)


def _sayable(text: str | None) -> str | None:
    """Half a surrogate pair, which JSON may hold, has no UTF-8: it is spelt out."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
