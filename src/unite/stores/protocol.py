"""What the library asks of a vector store, and the few values that cross that seam."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unite.errors import LibraryError
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
    meta: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records a search may return; both conditions hold together.

    Attributes:
        modalities: Labels, compared whole; None admits every one, the empty set admits none.
        glob: Pattern for the whole path, case-sensitive: ``*`` is any run of characters, slashes
            included, ``?`` is one character, everything else stands for itself.
    """

    modalities: frozenset[str] | None = None
    glob: str | None = None

    def admits(self, record: Record) -> bool:
        """Whether a record passes; an engine must agree with this."""
        if self.modalities is not None and record.modality not in self.modalities:
            return False
        return self.glob is None or _pattern(self.glob).fullmatch(record.path) is not None


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Stats:
    """How much a store holds.

    Attributes:
        count: Number of records.
        modalities: Records per modality label, sorted by label.
    """

    count: int
    modalities: Mapping[str, int]


class Store(Protocol):
    """Vectors with their records. Every write is seen whole or not at all, and is idempotent."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
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

    def records(self, sources: Iterable[str] | None = None) -> list[Record]:
        """Records without vectors, sorted by id: all, or those read from these files."""
        ...

    def search(self, vector: Vector, k: int, where: Filter = EVERYTHING) -> list[Found]:
        """The k nearest by cosine among those admitted, best first, ties in the order of ids."""
        ...

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        ...

    def stats(self) -> Stats:
        """How much the store holds."""
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


def _pattern(glob: str) -> re.Pattern[str]:
    words = {"*": ".*", "?": "."}
    return re.compile("".join(words.get(char, re.escape(char)) for char in glob), re.DOTALL)
