"""The released training sets: Unite-Base-Retrieval-Train and Unite-Instruct-Retrieval-Train.

A folder for each set holds a ``metadata.json``, one array of pairs. Images and videos lie beside
it, or come from elsewhere: the set ``Tarsier2-Recap-585K`` of the first and ``MMEB-train`` of the
second say where their media are to be downloaded (README of github.com/friedrichor/UNITE, "Data
Preparation"). The training code opens a path as it stands in the row (unite/dataset/ret_dataset.py
there), so it is relative to whatever folder one works in. We look for the first media of a set in
the set's folder, then in the one that holds all sets, and take the first where one of them lies.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unite.data.records import parse_pair, read_rows
from unite.data.sources.source import Row, Source
from unite.errors import DataError, ItemError, did_you_mean
from unite.types import Item

METADATA = "metadata.json"
_LOOKED_AT = 100  # rows in which the first media are looked for


def files(source: Source) -> list[Path]:
    """The metadata of every set, in the order of their names, and where its media were found.

    Raises:
        DataError: There is none, or not the one asked for.
    """
    sets = _sets(source)
    return [*sets, *(media_folder(path, source.media) for path in sets)]


def rows(source: Source, extracted: Path) -> Iterator[Row]:
    """Rows of all sets, one set after the other.

    Raises:
        DataError: A set cannot be read.
    """
    for path in _sets(source):
        folder = media_folder(path, source.media)
        for number, value in read_rows(path):
            yield Row(number, f"{path.parent.name}/{path.name}:{number}", value, folder)


def _sets(source: Source) -> list[Path]:
    """The metadata of every set, in the order of their names.

    Raises:
        DataError: There is none, or not the one asked for.
    """
    if source.path.is_file():
        return [source.path]
    if (source.path / METADATA).is_file():
        return [source.path / METADATA]
    sets = {found.parent.name: found for found in sorted(source.path.glob(f"*/{METADATA}"))}
    if not sets:
        raise DataError(
            f"{source.path} holds no {METADATA}, nor does a folder in it.",
            "Name the folder of a released set, or the one that holds them all.",
        )
    if source.subset is None:
        return list(sets.values())
    if source.subset not in sets:
        raise DataError(
            f"{source.path} holds no set {source.subset!r}.", did_you_mean(source.subset, sets)
        )
    return [sets[source.subset]]


def media_folder(metadata: Path, given: Path | None) -> Path:
    """What the paths of a set are relative to.

    Args:
        metadata: The set's rows.
        given: Where its media lie, if the user says so; a folder of the set's name in it counts.
    """
    home = metadata.parent.resolve()
    tried = [given.resolve(), given.resolve() / home.name] if given else [home, home.parent]
    first = list(itertools.islice(read_rows(metadata), _LOOKED_AT))
    references = [reference for _, row in first for reference in _media(row)]
    found = (folder for folder in tried if any(_exists(folder / path) for path in references))
    return next(found, tried[0])


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises on names that are too long


def _media(row: Any) -> list[str]:
    try:
        pair = parse_pair(row)
    except (ItemError, DataError):
        return []
    return [path for item in (pair.query, pair.candidate) for path in _paths(item)]


def _paths(item: Item) -> Iterator[str]:
    for image in item.images:
        if isinstance(image, str):
            yield image
    for clip in item.videos:
        yield clip.path
