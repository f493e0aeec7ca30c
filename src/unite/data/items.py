"""Any input as a stream of items: an item file, a table, a folder, or standard input.

Whatever the form, a row that is no item keeps its place and says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path

from unite.data import item_folder, item_table
from unite.data.json_array import elements
from unite.data.records import BadRow, is_array, parse_row, read_lines, read_rows, split_lines
from unite.errors import DataError
from unite.media.suffixes import medium_of
from unite.types import Item

STANDARD_INPUT = Path("-")
_COUNTED = 1 << 28
"""Bytes of a JSON array that is read twice, the first time to count its rows."""


def read_items(
    source: Path, on_skipped: Callable[[Path], object] = lambda path: None
) -> Iterator[Item | BadRow]:
    """Yield every row of an input: an item with an id, or what is wrong with the row.

    Args:
        source: JSONL, a JSON array, Parquet, a folder of pictures, clips and texts, a picture or
            clip, or `-` for JSONL on standard input. A row without an id is named by its number.
        on_skipped: Called with every file of a folder that is of no kind that can be embedded.

    Raises:
        DataError: The input as a whole cannot be read.
    """
    return (value for _, value in read_numbered(source, on_skipped))


def read_numbered(
    source: Path, on_skipped: Callable[[Path], object] = lambda path: None
) -> Iterator[tuple[int, Item | BadRow]]:
    """The same, each with the number of its row, of its line in JSONL.

    Raises:
        DataError: The input as a whole cannot be read.
    """
    if source == STANDARD_INPUT:
        return _lines(sys.stdin.buffer)
    if source.is_dir():
        return enumerate(item_folder.read_folder(source, on_skipped), 1)
    if source.suffix.lower() == ".parquet":
        return enumerate(item_table.read_table(source), 1)
    if _is_medium(source):
        return enumerate([item_folder.item_of(1, source.name, source.absolute())], 1)
    return _pipe(source) if _is_pipe(source) else _file(source)


def count_items(source: Path) -> int | None:
    """The number of rows that `read_items` will yield; None where only reading it all tells.

    Raises:
        DataError: The input as a whole cannot be read.
    """
    if source == STANDARD_INPUT or _is_pipe(source):
        return None
    if source.is_dir():
        return sum(1 for _ in item_folder.walk(source, lambda path: None))
    if source.suffix.lower() == ".parquet":
        return item_table.count_rows(source)
    if _is_medium(source):
        return 1
    try:
        return _count(source)
    except OSError as error:
        raise DataError(f"Cannot read {source}: {error.strerror}.", "Check the path.") from error


def _file(path: Path) -> Iterator[tuple[int, Item | BadRow]]:
    folder = path.parent.resolve()
    for number, row in read_rows(path):
        yield number, parse_row(number, row, folder)


def _is_medium(path: Path) -> bool:
    return path.is_file() and medium_of(path.name) is not None


def _is_pipe(path: Path) -> bool:
    return path.is_fifo() or path.is_char_device()


def _pipe(path: Path) -> Iterator[tuple[int, Item | BadRow]]:
    with path.open("rb") as file:
        yield from _lines(file)


def _lines(file: Iterable[bytes]) -> Iterator[tuple[int, Item | BadRow]]:
    """JSONL that is read once, a line at a time; paths are seen from the current folder."""
    folder = Path.cwd()
    for number, row in read_lines(file):
        yield number, parse_row(number, row, folder)


def _count(path: Path) -> int | None:
    with path.open("rb") as file:
        if not is_array(file):
            return sum(1 for line in split_lines(file) if line.strip())
        if path.stat().st_size > _COUNTED:
            return None
        try:
            with TextIOWrapper(file, "utf-8") as text:
                return sum(1 for _ in elements(path, text))
        except (DataError, UnicodeDecodeError):  # reading will say so, after the rows before it
            return None
