"""One row a record: its vector, or the reason why there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unite.data.records import BadRow
from unite.data.vectors.precision import cut
from unite.types import Embedding, Encoder, Item, Vector

Record = Item | BadRow

LOOK_AHEAD = 1 << 14
"""Records that may wait for their turn. An encoder looks for its next item past any number of
rows that are none; beyond this the stream is ended for it, and begun anew."""


@dataclass(frozen=True, slots=True)
class Row:
    """Who, of what modality, its vector or the reason why there is none."""

    id: str
    modality: str
    embedding: Vector | None
    error: str | None
    note: str | None


def embed_rows(
    encoder: Encoder, records: Iterable[Record], dim: int | None = None
) -> Iterator[Row]:
    """Embed the records that are items; the others keep their places with their errors.

    Args:
        encoder: The model.
        records: What `read_items` gives; read as far ahead as the encoder does.
        dim: Keep so many coordinates and make the vector one of unit length again.

    Yields:
        As many rows as records, in their order.
    """
    stream = iter(records)
    for first in stream:
        waiting = deque((first,))
        for result in encoder.embed(_items(stream, waiting)):
            while isinstance(waiting[0], BadRow):
                yield _bad(waiting.popleft())
            yield _good(waiting.popleft(), result, dim)
        while waiting:
            yield _bad(waiting.popleft())


def _items(stream: Iterator[Record], waiting: deque[Record]) -> Iterator[Item]:
    """Items for the encoder; every record that is passed waits for its turn to be a row."""
    if isinstance(waiting[0], Item):
        yield waiting[0]
    while len(waiting) < LOOK_AHEAD and (record := next(stream, None)) is not None:
        waiting.append(record)
        if isinstance(record, Item):
            yield record


def _bad(record: Record) -> Row:
    if isinstance(record, Item):
        raise RuntimeError("The encoder gave fewer vectors than it took items.")
    return Row(record.id, "", None, record.error, None)


def _good(record: Record, result: Embedding, dim: int | None) -> Row:
    vector, error = result.vector, result.error
    if vector is not None and dim is not None:
        vector = cut(vector, dim)
        error = None if vector is not None else f"The first {dim} coordinates are all zero."
    modality = record.modality.label if isinstance(record, Item) else ""
    return Row(str(record.id), modality, vector, error, result.note)
