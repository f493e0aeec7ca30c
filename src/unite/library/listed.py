"""Files that list items: rows of media with captions, or items in their JSON form.

A row of captions names a file (`path`, `file_name`, or by its kind `image`, `video`) and its words
(`caption` or `text`); so a table of a Hugging Face image folder is one. Every row may have `tags`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unite.data.records import BadRow, parse_row, read_rows
from unite.errors import DataError, ItemError
from unite.library.scan import Kind, kind_of
from unite.types import Item

PATHS = ("path", "file_name")
MEDIA = ("image", "video")
CAPTIONS = ("caption", "text")

Listed = tuple[Item | BadRow, tuple[str, ...]]
"""An item with its tags, or what is wrong with its row."""


def read_listed(path: Path) -> Iterator[Listed]:
    """Yield every row of a JSONL or CSV file.

    Args:
        path: The file; relative paths in it resolve against its folder.

    Raises:
        OSError: It cannot be read.
        DataError: It is no such file.
    """
    folder = path.parent.resolve()
    rows = _table(path) if path.suffix.lower() == ".csv" else read_rows(path)
    for number, row in rows:
        try:
            tags = _tags(row)
            row = _without_captions(row)
        except ItemError as error:
            yield BadRow(number, _spelt_out(_name(number, row)), str(error)), ()
        else:
            yield _storable(number, parse_row(number, row, folder), tags)


def _table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with the columns that matter, empty cells left out."""
    known = {*PATHS, *MEDIA, *CAPTIONS, "tags", "id"}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(path, set(reader.fieldnames or ()))
            for number, row in enumerate(reader, 1):
                yield number, {key: row[key] for key in row if key in known and row[key]}
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: {error}.", "Save it as CSV in UTF-8.") from error


def _check_columns(path: Path, columns: set[str]) -> None:
    if not columns & {*PATHS, *MEDIA} or not columns & set(CAPTIONS):
        raise DataError(
            f"{path} has no column of paths and one of captions.",
            "Name them 'path' and 'caption'.",
        )


def _without_captions(row: Any) -> Any:
    """A row of captions in the form of an item; any other row as it is."""
    if not isinstance(row, Mapping):
        return row
    row = {key: value for key, value in row.items() if key != "tags"}
    if not any(key in row for key in (*PATHS, "caption")):
        return row
    words = next((row[key] for key in CAPTIONS if key in row), None)
    media = {key: row[key] for key in MEDIA if key in row} or _by_kind(row)
    known = {key: row[key] for key in ("id", "idx") if key in row}
    return {**known, **({} if words is None else {"text": words}), **media}


def _by_kind(row: Mapping[str, Any]) -> dict[str, Any]:
    path = next((row[key] for key in PATHS if key in row), None)
    kind = kind_of(path) if isinstance(path, str) else None
    if kind not in (Kind.IMAGE, Kind.VIDEO):
        raise ItemError(f"{path!r} is the path of no picture or clip.")
    return {kind.value: path}


def _tags(row: Any) -> tuple[str, ...]:
    """A list of words, or words with commas or semicolons between them."""
    tags = row.get("tags") if isinstance(row, Mapping) else None
    words = re.split(r"[,;]", tags) if isinstance(tags, str) else tags or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ItemError(f"'tags' is a list of words, not {tags!r}.")
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))


def _storable(number: int, row: Item | BadRow, tags: tuple[str, ...]) -> Listed:
    """The row, or why no store can hold it: JSON may write half of a surrogate pair."""
    name = _spelt_out(row.id or "")
    if isinstance(row, BadRow):
        return replace(row, id=name), ()
    images = [image for image in row.images if isinstance(image, str)]
    words = [row.id or "", row.text or "", *images, *(clip.path for clip in row.videos), *tags]
    odd = next((word for word in words if _spelt_out(word) != word), None)
    if odd is None:
        return row, tags
    reason = "half of a surrogate pair is no character; write the whole one"
    return BadRow(number, name, f"{odd[:40]!r} cannot be kept: {reason}"), ()


def _spelt_out(text: str) -> str:
    """The text with what has no UTF-8 written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _name(number: int, row: Mapping[str, Any]) -> str:
    return str(row.get("id") or row.get("idx") or number)
