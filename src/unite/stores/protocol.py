"""What the library asks of a vector store, and the few values that cross that seam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from unite.errors import LibraryError
from unite.stores.filters import EVERYTHING, Filter
from unite.types import Hit, Vector

Matrix = npt.NDArray[np.float32]
"""Embeddings row by row, shape (N, D)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that a search can find; everything about it but its vector.

    Attributes:
        id: The source, and where it has several parts, ``#`` and the name of the part.
        path: The file that a hit shows.
        source: The file the record was read from; another than `path` only for listed items.
        digest: SHA-256 of what the vector was made from: a file's bytes, a passage, a listed item.
        modality: Label such as ``image`` or ``text+image``.
        start: Begin in seconds, for a part of a clip.
        end: End in seconds, for a part of a clip.
        parts: Number of records that the source makes when all of them can be embedded.
        text: Snippet to show.
        size: Bytes of the source.
        mtime_ns: Modification time of the source.
        duration: Length in seconds of what the record is of; None where it has none.
        width: Width of the picture in pixels; None where it has none.
        height: Height of the picture in pixels; None where it has none.
        tags: Words that a user or a file gave it.
        meta: Further facts that do not depend on the model.
    """

    id: str
    path: str
    source: str
    digest: str
    modality: str
    size: int
    mtime_ns: int
    parts: int = 1
    start: float | None = None
    end: float | None = None
    text: str = ""
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def modified(self) -> int:
        """Modification time of the source in whole seconds since 1970."""
        return self.mtime_ns // 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A record with its vector, shape (D,), unit length."""

    record: Record
    vector: Vector


@dataclass(frozen=True, slots=True)
class Found:
    """A record and its cosine with the query."""

    record: Record
    score: float

    @property
    def hit(self) -> Hit:
        """The same as the type that every part of the package shares."""
        it = self.record
        return Hit(it.id, it.path, it.modality, self.score, it.start, it.end)


IndexState = Literal["exact", "none", "building", "ready", "failed"]
"""How searches over everything are answered: by all vectors, so because there are few or because
no index is there yet; or by an approximate index, which may have failed to build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How much a store holds, and how it searches.

    Attributes:
        count: Number of records.
        modalities: Records per modality label, sorted by label.
        bytes: What the vectors and records take; None where the engine does not tell.
        index: State of the approximate index; ``exact`` where none is wanted.
        indexed: Records in the index; the others are compared one by one.
        recall: Share of the true ten nearest that the index finds, measured on stored vectors
            when it was built; None where that was not measured, 1.0 where search is exact.
        note: What went wrong in the background, else empty.
    """

    count: int
    modalities: Mapping[str, int]
    bytes: int | None = None
    index: IndexState = "exact"
    indexed: int = 0
    recall: float | None = 1.0
    note: str = ""


class Store(Protocol):
    """Vectors with their records.

    Writes are idempotent, and seen whole or not at all where the engine has transactions (not in
    Qdrant, where a batch is the largest thing that is seen whole).
    """

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def identity(self) -> str:
        """A name that no other table has, made with it; empty where the engine keeps none."""
        ...

    def upsert(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id, in one commit.

        Raises:
            LibraryError: A vector has the wrong length or holds a number that is not finite.
        """
        ...

    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that do not exist are no error."""
        ...

    def get(self, ids: Sequence[str]) -> list[Row]:
        """Rows in the order of the ids; ids that do not exist are left out."""
        ...

    def records(self, sources: Iterable[str] | None = None) -> Iterator[Record]:
        """Records without vectors, streamed in no order: all, or those read from these files."""
        ...

    def search(
        self, vector: Vector, k: int, where: Filter = EVERYTHING, offset: int = 0
    ) -> list[Found]:
        """The k nearest by cosine among those admitted, best first, ties in the order of ids.

        Args:
            vector: The query, shape (D,), unit length.
            k: Number of results.
            where: What may be found.
            offset: Results to pass over: those of the pages before.
        """
        ...

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        ...

    def modalities(self) -> dict[str, int]:
        """Records per modality label, sorted by label; every search may ask."""
        ...

    def stats(self) -> Stats:
        """How much the store holds, and how it searches."""
        ...

    def tidy(self) -> None:
        """Merge what many small writes left behind; changes no answer."""
        ...


def stack(rows: Sequence[Row], dim: int) -> Matrix:
    """Put the vectors of rows under one another, shape (N, D), after checking them.

    Args:
        rows: Rows about to be written.
        dim: Length that every vector must have.

    Raises:
        LibraryError: A vector has the wrong length or holds a number that is not finite.
    """
    for row in rows:
        _check(row.vector, dim, f"The vector of {row.record.path}")
    if not rows:
        return np.empty((0, dim), np.float32)
    return np.stack([row.vector for row in rows]).astype(np.float32, copy=False)


def check_query(vector: Vector, dim: int) -> Matrix:
    """The query as a matrix of one row, shape (1, D).

    Raises:
        LibraryError: It has the wrong length or holds a number that is not finite.
    """
    _check(vector, dim, "The query's vector")
    return np.asarray(vector, np.float32)[None, :]


def _check(vector: Vector, dim: int, name: str) -> None:
    if vector.shape != (dim,):
        raise LibraryError(
            f"{name} has shape {vector.shape}, the store holds ({dim},).",
            "Use the model that the library was made with.",
        )
    if not np.isfinite(vector).all():
        raise LibraryError(f"{name} holds numbers that are not finite.", "Check the model.")
