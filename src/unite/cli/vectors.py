"""Rows of the vector file that `unite embed` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

from unite.data.records import BadRow
from unite.types import Encoder, Item, Vector


@dataclass(frozen=True, slots=True)
class Row:
    """One row: who, of what modality, its vector or the reason why there is none."""

    id: str
    modality: str
    embedding: Vector | None
    error: str | None
    note: str | None


def embed_rows(encoder: Encoder, records: Iterable[Item | BadRow]) -> Iterator[Row]:
    """Embed the records that are items; the others keep their places with their errors.

    Args:
        encoder: The model.
        records: Rows of an item file.

    Yields:
        As many rows as records, in their order.
    """
    all_records, for_items = tee(records)
    results = encoder.embed(record for record in for_items if isinstance(record, Item))
    for record in all_records:
        if isinstance(record, BadRow):
            yield Row(record.id, "", None, record.error, None)
        else:
            result = next(results)
            yield Row(
                str(record.id), record.modality.label, result.vector, result.error, result.note
            )


def write_parquet(path: Path, rows: Sequence[Row], dim: int, facts: Mapping[str, str]) -> None:
    """Write rows atomically.

    Args:
        path: The file; an older one is replaced when the new one is whole.
        rows: What to write.
        dim: Length of a vector.
        facts: Kept in the file's metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = [None if row.embedding is None else row.embedding.tolist() for row in rows]
    table = pa.table(
        {
            "id": pa.array([row.id for row in rows], pa.string()),
            "modality": pa.array([row.modality for row in rows], pa.string()),
            "embedding": pa.array(vectors, pa.list_(pa.float32(), dim)),
            "error": pa.array([row.error for row in rows], pa.string()),
            "note": pa.array([row.note for row in rows], pa.string()),
        }
    ).replace_schema_metadata(dict(facts))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial)
    partial.replace(path)
