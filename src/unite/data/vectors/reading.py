"""Vector files read back: ids and float32 unit vectors, whatever the precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unite.data.vectors.parts import part_path, read_parts
from unite.data.vectors.precision import Matrix, Precision
from unite.data.vectors.table import PLAIN
from unite.errors import DataError

_BATCH = 4096
_NAMES = {"float": Precision.FLOAT32, "halffloat": Precision.FLOAT16, "int8": Precision.INT8,
          "uint8": Precision.BINARY}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows of a vector file.

    Attributes:
        ids: Names of the items.
        modalities: What they are made of: `text`, `text+image`; empty for a row that was no item.
        vectors_ND: Unit vectors, (N, D) float32; a failed row is zeros, so that it scores 0 with
            everything.
        errors: Why a row has no vector, None where it has one.
    """

    ids: list[str]
    modalities: list[str]
    vectors_ND: Matrix
    errors: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)


def read_vectors(path: Path) -> Vectors:
    """Read a vector file, or a folder of parts, whole.

    Raises:
        DataError: It cannot be read, holds no vectors, or lacks parts.
    """
    batches = list(read_batches(path))
    return Vectors(
        [one for batch in batches for one in batch.ids],
        [one for batch in batches for one in batch.modalities],
        np.concatenate([batch.vectors_ND for batch in batches]),
        [one for batch in batches for one in batch.errors],
    )


def read_batches(path: Path) -> Iterator[Vectors]:
    """Read a vector file, or a folder of parts, some thousand rows at a time.

    Yields:
        At least one for each file, also for one without rows.

    Raises:
        DataError: It cannot be read, holds no vectors, or lacks parts.
    """
    for file in _whole(path) if path.is_dir() else [path]:
        yield from _batches(file)


def _whole(folder: Path) -> list[Path]:
    """The parts of a folder, none of which is missing."""
    parts = read_parts(folder)
    if not parts:
        raise DataError(f"{folder} holds no vectors.", "Name what `unite embed` wrote.")
    if not parts[-1].last:
        raise DataError(
            f"{folder} is not finished: it ends with row {parts[-1].end}.",
            "Give the command that began it again; it goes on where it stopped.",
        )
    return [part_path(folder, part.first) for part in parts]


def _batches(path: Path) -> Iterator[Vectors]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["id", "modality", "embedding", "error"]
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            schema = file.schema_arrow
            precision = _precision(path, schema)
            empty = schema.empty_table().select(columns).to_batches()
            if file.metadata.num_rows == 0:
                yield _decoded(empty[0] if empty else _no_rows(schema, columns), precision)
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                yield _decoded(batch, precision)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"Cannot read {path}: {error}.", "Is it whole?") from error


def _no_rows(schema: Any, columns: list[str]) -> Any:
    import pyarrow as pa

    arrays = [pa.array([], schema.field(name).type) for name in columns]
    return pa.record_batch(arrays, names=columns)


def _precision(path: Path, schema: Any) -> Precision:
    import pyarrow as pa

    if not {*PLAIN, "embedding"} - {"note"} <= set(schema.names):
        raise DataError(f"{path} lacks the columns of a vector file.", "`unite embed` writes them.")
    held = schema.field("embedding").type
    precision = _NAMES.get(str(held.value_type)) if pa.types.is_fixed_size_list(held) else None
    if precision is None:
        raise DataError(f"{path} holds {held} in 'embedding', which is no vector of ours.")
    return precision


def _decoded(batch: Any, precision: Precision) -> Vectors:
    column = batch.column("embedding")
    present = column.is_valid().to_numpy(zero_copy_only=False)
    width = column.type.list_size
    stored = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    dim = width * 8 if precision is Precision.BINARY else width
    vectors_ND = np.zeros((batch.num_rows, dim), np.float32)
    vectors_ND[present] = precision.restore(stored)
    ids, modalities, errors = (
        batch.column(name).to_pylist() for name in ("id", "modality", "error")
    )
    return Vectors(ids, modalities, vectors_ND, errors)
