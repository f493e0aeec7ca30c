"""Hugging Face data sets: saved to disk, as files of rows, or by name from the hub.

Files (Parquet, JSONL, CSV) are read without the `datasets` library, so that a broken row costs
itself only; a saved data set and the hub are read with it, never decoding media.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unite.data.sources.sides import pairs_of, parts
from unite.data.sources.source import Row, Source
from unite.data.sources.tables import SUFFIXES, read_table
from unite.errors import DataError, did_you_mean

SAVED = ("state.json", "dataset_dict.json")
"""Files by which a folder is known to be a saved data set."""

_FACTS = ("dataset_info.json", "dataset_infos.json")
"""Files about a data set, with no rows."""
_SPLITS = ("train", "validation", "valid", "val", "dev", "test")
_BATCH = 64


def files(source: Source) -> list[Path]:
    """The files of rows; none for the hub, whose state is not looked up.

    Raises:
        DataError: The folder holds none, or it is not said which columns make a pair.
    """
    _columns(source)
    path = _home(source)
    if path.is_file():
        return [path]
    if not path.exists():
        return []
    if is_saved(path):
        return sorted(found for found in path.rglob("*") if found.suffix in (".arrow", ".json"))
    tables = (one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
    found = sorted(one for one in tables if one.name not in _FACTS)
    if source.split is not None:
        found = [one for one in found if _of_split(one.relative_to(path), source.split)]
    elif len(splits := _splits(path, found)) > 1:
        raise DataError(f"{path} has the splits {', '.join(splits)}.", "Name one.")
    if not found:
        which = f" of split {source.split!r}" if source.split else ""
        raise DataError(f"{path} holds no table{which}.", f"Tables: {', '.join(SUFFIXES)}.")
    return found


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """Rows of all files, or of the data set.

    Raises:
        DataError: It cannot be read, or it is not said which columns make a pair.
    """
    query, candidate = _columns(source)
    path = _home(source)
    if path.is_file() or (path.exists() and not is_saved(path)):
        for file in files(source):
            base = (source.media or file.parent).resolve()
            for number, cells in read_table(file):
                row = Row(number, f"{file.name}:{number}", cells, base)
                yield from _pairs(row, query, candidate, extracted)
        return
    base = (source.media or path).resolve()
    for number, cells in enumerate(_cells(source, path), 1):
        yield from _pairs(Row(number, f"row {number}", cells, base), query, candidate, extracted)


def is_saved(path: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((path / name).is_file() for name in SAVED)


def _home(source: Source) -> Path:
    """The folder of the subset, where the data set has folders for them."""
    inner = source.path / (source.subset or "")
    return inner if inner.exists() else source.path


def _of_split(path: Path, split: str) -> bool:
    """``train/x.parquet``, ``train.jsonl`` or ``train-00000-of-00001.parquet``."""
    stem = path.name.split(".")[0]
    return split in path.parts[:-1] or stem == split or stem.startswith(f"{split}-")


def _splits(path: Path, tables: Sequence[Path]) -> list[str]:
    """The customary splits that the names of some tables tell of."""
    inner = [one.relative_to(path) for one in tables]
    return [name for name in _SPLITS if any(_of_split(one, name) for one in inner)]


def _columns(source: Source) -> tuple[str, str]:
    if source.query is None or source.candidate is None:
        raise DataError(
            f"{source.path}: which columns are the query and the candidate is not said.",
            "Give query and candidate, such as caption and image.",
        )
    return source.query, source.candidate


def _pairs(row: Row, query: str, candidate: str, extracted: Path) -> Iterator[Row]:
    """The pairs of one row; several where a cell holds several captions."""
    try:
        if isinstance(row.value, DataError):
            raise row.value
        if not isinstance(row.value, dict):
            raise DataError(f"The row is no object but {type(row.value).__name__}.")
        sides = [parts(row.value, columns, extracted) for columns in (query, candidate)]
        for pair in pairs_of(*sides):
            yield replace(row, value=pair)
    except DataError as error:
        yield replace(row, value=error)


def _cells(source: Source, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a saved data set or of one on the hub, media as they are stored."""
    from datasets.exceptions import DatasetsError

    try:
        # The Arrow form hands over what is stored; any other would decode each picture.
        for table in _dataset(source, path).with_format("arrow").iter(batch_size=_BATCH):
            yield from table.to_pylist()
    except (OSError, ValueError, DatasetsError) as error:
        raise DataError(
            f"Cannot read the data set {source.path}: {error}.",
            "Check its name, subset and split; the hub needs a network.",
        ) from error


def _dataset(source: Source, path: Path) -> Any:
    from datasets import DatasetDict, IterableDatasetDict, load_dataset, load_from_disk

    if path.exists():
        found = load_from_disk(path)
    else:
        found = load_dataset(str(source.path), source.subset, split=source.split, streaming=True)
    if not isinstance(found, DatasetDict | IterableDatasetDict):
        return found
    names = list(found)
    if source.split is None and len(names) > 1:
        raise DataError(f"{source.path} has the splits {', '.join(names)}.", "Name one.")
    split = source.split or names[0]
    if split not in found:
        raise DataError(f"{source.path} has no split {split!r}.", did_you_mean(split, names))
    return found[split]
