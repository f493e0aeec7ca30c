"""Pair files that are read to be written again elsewhere: row for row, paths and all.

A row that is no pair keeps its place and its words. Media are found from the new file as from the
old, and one file has one path, whichever way a row names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from unite.data.records import is_address, parse_pair, read_rows, split_lines
from unite.errors import DataError, ItemError
from unite.types import Item, Pair
from unite.whole import whole

_BYTES = "surrogateescape"
"""Bytes that are no UTF-8 are written as they were read."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """One row of a pair file.

    Attributes:
        file: The file it stands in.
        number: Its place there, as `read_rows` counts.
        pair: The pair, its paths settled; None if the row is none.
        error: Why it is none.
        text: The row as it is to be written again; empty where there is a pair.
    """

    file: Path
    number: int
    pair: Pair | None
    error: str = ""
    text: str = ""


def read_pair_rows(path: Path) -> Iterator[PairRow]:
    """Yield every row of a pair file, the broken ones with the reason.

    Raises:
        DataError: The file as a whole cannot be read.
    """
    folder = path.parent.resolve()
    rows = list(read_rows(path))
    lines = _lines(path, {number for number, row in rows if isinstance(row, DataError)})
    for number, row in rows:
        if isinstance(row, DataError):
            yield PairRow(path, number, None, str(row), lines[number])
            continue
        try:
            pair = settled(parse_pair(row, folder, path.stem))
        except (ItemError, DataError) as error:
            yield PairRow(path, number, None, str(error), json.dumps(row))
        else:
            yield PairRow(path, number, pair)


def settled(pair: Pair) -> Pair:
    """The pair with every path as `settled_item` has it; its content ids stay."""
    return _each(pair, settled_item)


def settled_item(item: Item) -> Item:
    """The item with absolute paths free of links and dots up to the file's own name.

    A link to a file is kept: its target may lack the name that tells what it is.
    """
    return _replaced(item, _real)


def moved(pair: Pair, folder: Path) -> Pair:
    """The pair with its settled paths as seen from a folder; absolute where there is no way."""
    return _each(pair, lambda item: _replaced(item, lambda path: _from(path, folder)))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file whole or not at all, a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole(path) as draft,
        draft.open("w", encoding="utf-8", errors=_BYTES, newline="\n") as file,
    ):
        file.writelines(f"{line}\n" for line in lines)


def _lines(path: Path, numbers: set[int]) -> dict[int, str]:
    """Lines of a file by their numbers, counted as `read_rows` does."""
    if not numbers:
        return {}
    with path.open("rb") as file:
        lines = enumerate(split_lines(file), 1)
        return {n: line.decode(errors=_BYTES) for n, line in lines if n in numbers}


def _each(pair: Pair, change: Callable[[Item], Item]) -> Pair:
    return replace(
        pair,
        query=change(pair.query),
        candidate=change(pair.candidate),
        negatives=tuple(change(item) for item in pair.negatives),
    )


def _replaced(item: Item, change: Callable[[str], str]) -> Item:
    """The item with its paths changed; addresses and pictures in memory stay."""
    if not item.images and not item.videos:
        return item

    def changed(path: str) -> str:
        return path if is_address(path) else change(path)

    images = tuple(changed(ref) if isinstance(ref, str) else ref for ref in item.images)
    videos = tuple(replace(clip, path=changed(clip.path)) for clip in item.videos)
    return replace(item, images=images, videos=videos)


def _real(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)  # noqa: PTH118 - hot


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    try:
        return os.path.realpath(folder)
    except ValueError:  # a null character; the medium will say so
        return folder


def _from(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return path
