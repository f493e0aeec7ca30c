"""Any source read as pairs: the one door to all kinds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unite.data.records import BadRow, parse_pair
from unite.data.sources import folder, hf, mmeb, pairs, shards, unite
from unite.data.sources.recognise import recognise
from unite.data.sources.sides import is_blank
from unite.data.sources.source import Reader, Row, Source
from unite.errors import DataError, ItemError, UniteError
from unite.types import Pair

_READERS: dict[str, Reader] = {
    "pairs": pairs,
    "unite": unite,
    "mmeb": mmeb,
    "hf": hf,
    "webdataset": shards,
    "folder": folder,
}


def read_source(source: Source, name: str, extracted: Path) -> Iterator[Pair | BadRow]:
    """Yield the pairs of a source in order; a row that is none is a `BadRow` in its place.

    Args:
        source: Where they come from.
        name: What the pairs name as their source.
        extracted: A folder into which media that lie inside shards or tables are written, each
            once, under a name made of its content.

    Raises:
        DataError: The source as a whole cannot be read, or breaks off.
    """
    return (pair for _, pair in read_placed(source, name, extracted))


def read_placed(source: Source, name: str, extracted: Path) -> Iterator[tuple[Row, Pair | BadRow]]:
    """The same, each with the row that it was, whose number and place messages can name.

    Raises:
        DataError: The source as a whole cannot be read, or breaks off.
    """
    for row in _reader(source).rows(source, extracted):
        yield row, _pair(row, name, source.instruction)


def source_files(source: Source) -> list[Path]:
    """The files of a source, in a stable order.

    Raises:
        DataError: There are none, or an option that the source needs is missing.
    """
    return _reader(source).files(source)


def fingerprint(source: Source) -> str:
    """A name for a source as it now is: its options, and the size and time of its files.

    Raises:
        DataError: A file of it cannot be read.
    """
    options = {key: str(value) for key, value in asdict(source).items() if value is not None}
    try:
        states = [_state(path) for path in source_files(source)]
    except OSError as error:
        raise DataError(
            f"Cannot read {error.filename}: {error.strerror}.", "Check the path."
        ) from error
    row = [recognise(source), options, str(source.path.resolve()), states]
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()


def _state(path: Path) -> tuple[str, int, int]:
    """A file by its size and time; a folder by its place only, whatever comes to lie in it."""
    stat = path.stat()
    return str(path), *((0, 0) if path.is_dir() else (stat.st_size, stat.st_mtime_ns))


def _reader(source: Source) -> Reader:
    return _READERS[recognise(source)]


def _pair(row: Row, name: str, instruction: str | None) -> Pair | BadRow:
    if isinstance(row.value, UniteError):
        return BadRow(row.number, row.place, str(row.value))
    try:
        return parse_pair(_instructed(_told(row.value), instruction), row.folder, name)
    except (ItemError, DataError) as error:
        return BadRow(row.number, row.place, str(error))


def _told(row: Any) -> Any:
    """The row without its blank texts: a side of nothing else has nothing that it could ask."""
    if not isinstance(row, Mapping):
        return row
    told = {key: _unblanked(row[key]) for key in ("query", "candidate", "negative") if key in row}
    return row if all(told[key] is row[key] for key in told) else {**row, **told}


def _unblanked(side: Any) -> Any:
    if isinstance(side, list):
        told = [_unblanked(one) for one in side]
        return side if all(one is other for one, other in zip(told, side, strict=True)) else told
    if isinstance(side, Mapping) and is_blank(side.get("text")):
        return {key: value for key, value in side.items() if key != "text"}
    return side


def _instructed(row: Any, instruction: str | None) -> Any:
    """The row with an instruction before its query's own."""
    if instruction is None or not isinstance(row, Mapping):
        return row
    query = row.get("query")
    if not isinstance(query, Mapping):
        return row
    own = query.get("instruction")
    if own is not None and not isinstance(own, str):
        return row  # it will be refused
    whole = instruction if own is None else f"{instruction}\n{own}"
    return {**row, "query": {**query, "instruction": whole}}
