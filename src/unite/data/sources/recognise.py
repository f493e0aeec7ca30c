"""Which kind of source lies at a path."""

from __future__ import annotations

from pathlib import Path

from unite.data.sources import hf, shards
from unite.data.sources.folder import TABLES
from unite.data.sources.mmeb import COLUMNS
from unite.data.sources.source import Source
from unite.data.sources.tables import SUFFIXES, column_names
from unite.data.sources.unite import METADATA
from unite.errors import DataError
from unite.media.suffixes import medium_of


def recognise(source: Source) -> str:
    """The kind of a source, as given or by what lies there.

    Raises:
        DataError: Nothing lies there, or nothing that is known.
    """
    if source.kind is not None:
        return source.kind
    path = source.path
    if path.name.endswith(shards.SUFFIXES):
        return "webdataset"
    if path.is_file():
        return _file(path, source)
    if not path.is_dir():
        raise DataError(
            f"There is no {path}.", "Check the path; for a data set of the hub give the kind hf."
        )
    kind = _folder(path)
    if kind is None:
        raise DataError(
            f"{path} holds no pairs, shards, tables or media.", "Say what it is with a kind."
        )
    return kind


def _file(path: Path, source: Source) -> str:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return "mmeb" if set(COLUMNS) <= set(column_names(path)) else "hf"
    if suffix in (".csv", ".tsv") or source.query is not None or source.candidate is not None:
        return "hf"
    return "unite" if path.name == METADATA else "pairs"


def _folder(path: Path) -> str | None:
    if hf.is_saved(path):
        return "hf"
    if (path / METADATA).is_file() and not _is_captions(path / METADATA):
        return "unite"
    if any((path / name).is_file() for name in TABLES):
        return "folder"
    if any(path.glob(f"*/{METADATA}")):
        return "unite"
    for pattern in ("*.parquet", "*/*.parquet"):
        if (first := next(path.glob(pattern), None)) is not None:
            return "mmeb" if set(COLUMNS) <= set(column_names(first)) else "hf"
    if any(one.name.endswith(shards.SUFFIXES) for one in path.iterdir()):
        return "webdataset"
    if any(medium_of(one.name) for one in path.rglob("*")):
        return "folder"
    if any(one.suffix.lower() in SUFFIXES for one in path.iterdir()):
        return "hf"
    return None


def _is_captions(path: Path) -> bool:
    """A ``metadata.json`` may be a table of captions too; a pair has a query."""
    return "query" not in column_names(path)
