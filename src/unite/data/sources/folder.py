"""A folder of media with captions: the caption is the query, the medium what it should find.

Captions stand beside a medium (``dog.jpg`` and ``dog.txt``), or in a table at the top of the
folder with a column for the file and one or more for its captions. A medium of several captions
is the candidate of several pairs; having one content id, it is no negative of itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unite.data.links import Found, Links
from unite.data.sources.sides import is_blank
from unite.data.sources.source import Row, Source
from unite.data.sources.tables import all_names, read_table
from unite.errors import DataError, did_you_mean
from unite.media.suffixes import medium_of
from unite.paths import absolute

TABLES = tuple(
    f"{stem}{suffix}"
    for stem in ("captions", "metadata")
    for suffix in (".csv", ".tsv", ".jsonl", ".json", ".parquet")
)
_FILE_COLUMNS = ("file_name", "filename", "file", "path", "image", "video")
_CAPTION_COLUMNS = ("caption", "captions", "text", "description")


def files(source: Source) -> list[Path]:
    """Media, captions and table: all there is.

    Raises:
        DataError: It is no folder.
    """
    homes = [source.path, source.media] if source.media else [source.path]
    return [path for home in homes for path, _ in _walk(home)]


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """Rows of the table, then media with a caption beside them or with none.

    Raises:
        DataError: It is no folder, or the table cannot be read or has no such columns.
    """
    root = (source.media or source.path).resolve()
    media: dict[str, str] = {}
    unlisted: list[tuple[str, OSError]] = []
    for path, error in _walk(root):
        name = path.relative_to(root).as_posix()
        if error is not None:
            unlisted.append((name, error))
        elif kind := medium_of(path.name):
            media[name] = kind
    told: set[str] = set()
    for name in TABLES:
        if (source.path / name).is_file():
            for row, file in _table(source, source.path / name, root, media):
                told.add(file)
                yield row
    for number, (file, kind) in enumerate(media.items(), 1):
        if file not in told:
            yield Row(number, file, _beside(root / file, kind), root)
    for number, (name, error) in enumerate(unlisted, len(media) + 1):
        yield Row(number, name, DataError(f"{name} cannot be listed: {error.strerror}."))


def _walk(folder: Path) -> Iterator[Found]:
    """All files in the order of their paths, and folders that cannot be listed, with the reason.

    What begins with a dot is hidden; linked folders are followed where they lead elsewhere.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", "Name a folder of media.")
    return _files(folder, Links(folder))


def _files(folder: Path, links: Links) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            seen = sorted((one.name, _is_folder(one)) for one in entries)
    except OSError as error:
        yield folder, error
        return
    shown = [(folder / name, is_folder) for name, is_folder in seen if not name.startswith(".")]
    yield from ((path, None) for path, is_folder in shown if not is_folder)
    for path, is_folder in shown:
        if is_folder and links.admit(path):
            yield from _files(path, links)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _beside(path: Path, kind: str) -> Any:
    """The pair of a medium and the text of its name, or what is wrong with the text."""
    beside = path.with_suffix(".txt")
    try:
        caption = beside.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        return DataError("It has no caption: no text of its name beside it, none in a table.")
    except (OSError, UnicodeDecodeError) as error:
        return DataError(f"{beside.name} cannot be read: {error}.", "Save it as UTF-8.")
    if not caption:
        return DataError(f"{beside.name} is empty.")
    return {"query": {"text": caption}, "candidate": {kind: str(path)}}


def _table(
    source: Source, path: Path, root: Path, media: dict[str, str]
) -> Iterator[tuple[Row, str]]:
    """Rows of a table with the file that each names; a row for each caption."""
    names = all_names(path)
    file_columns = _file_columns(path, names, source.candidate)
    columns = _caption_columns(path, names, source.query)
    homes = [f"{home}{os.sep}" for home in (absolute(source.media or source.path), root)]
    for number, cells in read_table(path):
        place = f"{path.name}:{number}"
        if not isinstance(cells, dict):
            fault = cells if isinstance(cells, DataError) else DataError("The row is no object.")
            yield Row(number, place, fault), ""
            continue
        named = (cells.get(column) for column in file_columns)
        file = os.path.normpath(str(next(filter(None, named), ".")))
        for home in homes:  # of whole paths, as they are written or as they are without links
            if file.startswith(home):
                file = file.removeprefix(home)
        for value in _pairs(file, cells, columns, media):
            yield Row(number, place, value, root), file


def _file_columns(path: Path, names: list[str], given: str | None) -> list[str]:
    """The column named, or all that may hold file names: of a row, the first that does counts."""
    found = [name for name in ([given] if given else _FILE_COLUMNS) if name in names]
    if names and not found:
        raise DataError(
            f"{path} has no column of file names; its columns: {', '.join(names)}.",
            "Say which it is with candidate.",
        )
    return found


def _caption_columns(path: Path, names: list[str], given: str | None) -> list[str]:
    """The columns named, or ``caption``, ``caption_2``, ``text`` and the like."""
    if given:
        columns = [name.strip() for name in given.split(",")]
    else:
        columns = [name for name in names if name.rstrip("_0123456789") in _CAPTION_COLUMNS]
    missing = [name for name in columns if name not in names]
    if names and (missing or not columns):
        raise DataError(
            f"{path} has no column {missing[0]!r}."
            if missing
            else f"{path} has no column of captions; its columns: {', '.join(names)}.",
            did_you_mean(missing[0], names) if missing else "Say which it is with query.",
        )
    return columns


def _pairs(
    file: str, cells: dict[str, Any], columns: list[str], media: dict[str, str]
) -> Iterator[Any]:
    """A pair for each caption of a row, or what is wrong with it."""
    if file not in media:
        yield DataError(f"There is no picture or clip {file!r} in the folder.")
        return
    captions = [
        caption
        for column in columns
        for caption in _listed(cells.get(column))
        if caption is not None and not is_blank(caption)
    ]
    if not captions:
        yield DataError(f"{file!r} has no caption.")
    for caption in captions:
        yield {"query": {"text": caption}, "candidate": {media[file]: file}}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
