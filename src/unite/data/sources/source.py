"""What a source of pairs is, and the rows that its readers hand over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unite.errors import DataError, did_you_mean

KINDS = ("pairs", "unite", "mmeb", "hf", "webdataset", "folder")
"""Forms of data that are read; docs/data.md tells what each looks like."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where pairs come from.

    Attributes:
        path: A file, a folder, shards (``train-{000..099}.tar``), or with kind ``hf`` the name
            of a data set on the hub.
        kind: One of `KINDS`; None: recognised from what lies there.
        subset: A set among several: of the released UNITE folders, of MMEB, of a hub data set.
        split: A split, where there are several.
        media: The folder that media paths are relative to, where they do not lie beside the rows.
        instruction: Put before every query.
        query: What the query side is made of, where it cannot be told from the data: columns
            (``image,question``), a caption column, or the extension of a shard's member.
        candidate: The same of the candidate side.

    Raises:
        DataError: The kind is unknown.
    """

    path: Path
    kind: str | None = None
    subset: str | None = None
    split: str | None = None
    media: Path | None = None
    instruction: str | None = None
    query: str | None = None
    candidate: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise DataError(f"{self.kind!r} is no kind of source.", did_you_mean(self.kind, KINDS))


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a reader found it, in the form of a pair file.

    Attributes:
        number: Its number in its file, counted from 1.
        place: What messages call it.
        value: ``{"query": …, "candidate": …}``, or the error that stands in its place.
        folder: What its paths are relative to.
    """

    number: int
    place: str
    value: Any
    folder: Path | None = None


class Reader(Protocol):
    """One kind of source; a module of this package for each."""

    def files(self, source: Source) -> list[Path]:
        """Files whose change means that the pairs have changed, and folders they depend on."""
        ...

    def rows(self, source: Source, extracted: Path) -> Iterator[Row]:
        """The rows in order; media that lie inside other files are written into `extracted`."""
        ...
