"""A folder as items: every picture, clip and text beneath it, named by its relative path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from unite.data.links import Found, Links
from unite.data.records import BadRow
from unite.errors import DataError
from unite.media.suffixes import TEXTS, medium_of
from unite.types import Clip, Item

LONGEST = 16 << 20
"""Bytes of a text; no model takes a longer one."""


def read_folder(folder: Path, on_skipped: Callable[[Path], object]) -> Iterator[Item | BadRow]:
    """Yield the files in the order of their paths; one that cannot be read says why.

    Args:
        folder: Names in it that begin with a dot are passed over, links are followed.
        on_skipped: Called with files of other kinds, and links to folders that are read anyway.
    """
    for number, (path, error) in enumerate(walk(folder, on_skipped), 1):
        name = path.relative_to(folder).as_posix()
        if error is not None:
            yield BadRow(number, name, f"{path} cannot be listed: {error.strerror}.")
        else:
            yield item_of(number, name, path.absolute())


def walk(folder: Path, on_skipped: Callable[[Path], object]) -> Iterator[Found]:
    """Find files by name alone, one folder's names in memory at a time.

    Args:
        folder: Where to begin.
        on_skipped: As in `read_folder`.

    Raises:
        DataError: The folder itself cannot be listed.
    """
    for path, error in _walk(folder, on_skipped, Links(folder)):
        if error is not None and path == folder:
            raise DataError(f"Cannot list {folder}: {error.strerror}.", "Check the path.")
        yield path, error


def _walk(folder: Path, on_skipped: Callable[[Path], object], links: Links) -> Iterator[Found]:
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except OSError as error:
        yield folder, error
        return
    for path in (folder / name for name in names):
        if path.is_dir():
            if links.admit(path):
                yield from _walk(path, on_skipped, links)
            else:
                on_skipped(path)
        elif medium_of(path.name) or path.suffix.lower() in TEXTS:
            yield path, None
        else:
            on_skipped(path)


def item_of(number: int, name: str, path: Path) -> Item | BadRow:
    """A picture, a clip or a text by its ending, or why it is none."""
    medium = medium_of(path.name)
    if medium == "image":
        return Item(images=(str(path),), id=name)
    if medium == "video":
        return Item(videos=(Clip(str(path)),), id=name)
    try:
        if path.stat().st_size > LONGEST:
            return BadRow(number, name, f"{path} has more than {LONGEST:,} bytes of text.")
        return Item(text=path.read_text(encoding="utf-8-sig"), id=name)
    except UnicodeDecodeError as error:
        return BadRow(number, name, f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.")
    except OSError as error:
        return BadRow(number, name, f"{path} cannot be read: {error.strerror}.")
