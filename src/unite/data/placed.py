"""Rows of any data file, pairs and items alike, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unite.data.items import read_numbered
from unite.data.records import BadRow, read_rows
from unite.data.sources import Source, read_placed, recognise
from unite.errors import DataError
from unite.types import Clip, Item, Pair

ITEMS = "items"
"""The form of an item file, beside the kinds of sources."""

Medium = str | Clip


@dataclass(frozen=True, slots=True)
class Placed:
    """One row: a pair, an item, or the reason why it is none.

    Attributes:
        source: The name of its source.
        number: Its number in its file, counted from 1; None where the file breaks off or is empty.
        place: What messages call it.
        value: What it holds; a `DataError` where the file breaks off or is empty.
    """

    source: str
    number: int | None
    place: str
    value: Pair | Item | BadRow | DataError

    @property
    def sides(self) -> tuple[Item, ...]:
        """Query, candidate and negatives of a pair, or the item."""
        if isinstance(self.value, Pair):
            return (self.value.query, self.value.candidate, *self.value.negatives)
        return (self.value,) if isinstance(self.value, Item) else ()

    @property
    def media(self) -> Iterator[Medium]:
        """References to pictures and clips, in order."""
        for item in self.sides:
            yield from (image for image in item.images if isinstance(image, str))
            yield from item.videos


def form_of(source: Source) -> str:
    """The kind of a source, or `ITEMS` for a JSON file whose first row has no query.

    Raises:
        DataError: It is not there, or is of no known kind.
    """
    kind = recognise(source)
    if kind != "pairs" or source.kind is not None:
        return kind
    objects = (row for _, row in read_rows(source.path) if isinstance(row, dict))
    try:
        first = next(objects, None)
    except DataError:  # it breaks off before any; reading it will say so
        return kind
    is_item = first is not None and not {"query", "candidate"} & set(first)
    return ITEMS if is_item else kind


def read_all(name: str, source: Source, form: str, extracted: Path) -> Iterator[Placed]:
    """Every row in order; where the source breaks off or has none, a last one that says so."""
    rows = _items(name, source.path) if form == ITEMS else _pairs(name, source, extracted)
    is_empty = True
    try:
        for row in rows:
            is_empty = False
            yield row
        if is_empty:
            raise DataError(f"{source.path} holds no row.", "Is it the right file?")
    except DataError as error:
        yield Placed(name, None, name, error)


def _pairs(name: str, source: Source, extracted: Path) -> Iterator[Placed]:
    for row, value in read_placed(source, name, extracted):
        yield Placed(name, row.number, row.place, value)


def _items(name: str, path: Path) -> Iterator[Placed]:
    for number, value in read_numbered(path):
        yield Placed(name, number, f"{path.name}:{number}", value)
