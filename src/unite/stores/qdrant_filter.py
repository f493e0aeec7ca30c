"""Filters as Qdrant's own.

Qdrant has no patterns, and its match of text has meant other things in other versions (pieces of
text until 1.19, words since). So a record keeps keys of its path: the folders above it, their
names, its own name and its suffix. Globs such as ``/a/*``, ``*/2024/*``, ``*.jpg`` and
``/a/*.jpg`` are said exactly by them. Of any other glob they say what is necessary, and `paths` is
asked for the stored paths that truly match among those that remain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from unite.stores.filters import (
    AllOf,
    AnyOf,
    Between,
    Filter,
    HasModality,
    HasTag,
    Not,
    PathMatches,
    glob_pattern,
)

if TYPE_CHECKING:
    from qdrant_client import models

Paths = Callable[["models.Filter"], Iterable[str]]
"""The stored paths that pass a filter of Qdrant's."""


def path_keys(path: str) -> list[str]:
    """What is kept of a path for globs.

    Args:
        path: A record's path.
    """
    name = path.rpartition("/")[2]
    _, dot, suffix = name.rpartition(".")
    folders = [f"^{path[: slash.end()]}" for slash in re.finditer("/", path)]
    return [*folders, *_inner(path), *_ends(name, path), *([f"$.{suffix}"] if dot else [])]


def translated(where: Filter, paths: Paths) -> models.Filter:
    """A filter as Qdrant's.

    Args:
        where: The filter.
        paths: Lists paths, for globs that Qdrant cannot express.

    Raises:
        TypeError: It is of a kind that this engine does not know.
    """
    from qdrant_client import models

    match where:
        case AllOf(parts):
            return models.Filter(must=[translated(part, paths) for part in parts])
        case AnyOf(()):
            return models.Filter(must=[models.HasIdCondition(has_id=[])])
        case AnyOf(parts):
            return models.Filter(should=[translated(part, paths) for part in parts])
        case Not(part):
            return models.Filter(must_not=[translated(part, paths)])
        case HasModality(label):
            return _equals("modality", label)
        case HasTag(tag):
            return _equals("tags", tag)
        case PathMatches(glob):
            return _path(glob, paths)
        case Between(measure, low, high):
            span = models.Range(gte=low, lt=high)
            return models.Filter(must=[models.FieldCondition(key=measure, range=span)])
    raise TypeError(f"{where!r} is no filter.")


def _equals(key: str, value: str) -> models.Filter:
    from qdrant_client import models

    match = models.MatchValue(value=value)
    return models.Filter(must=[models.FieldCondition(key=key, match=match)])


def _inner(text: str) -> set[str]:
    """Keys of the folders that stand between two slashes."""
    return {f"=/{name}/" for name in re.findall(r"(?<=/)[^/]*(?=/)", text)}


def _ends(name: str, path: str) -> list[str]:
    return [f"$/{name}"] if "/" in path else []


def _path(glob: str, paths: Paths) -> models.Filter:
    from qdrant_client import models

    if not re.search(r"[*?]", glob):
        return _equals("path", glob)
    keys = _needed(re.split(r"[*?]+", glob))
    needed = models.Filter(must=[_equals("path_keys", key) for key in keys])
    if _is_exact(glob):
        return needed
    pattern = glob_pattern(glob)
    found = sorted({path for path in paths(needed) if pattern.fullmatch(path)})
    among = models.FieldCondition(key="path", match=models.MatchAny(any=found))
    return models.Filter(must=[among])


def _needed(pieces: list[str]) -> list[str]:
    """Keys that every path has in which these pieces stand, the first and last at its ends."""
    keys = sorted({key for piece in pieces for key in _inner(piece)})
    first, last = pieces[0], pieces[-1]
    if "/" in first:
        keys.append(f"^{first[: first.rindex('/') + 1]}")
    name = last.rpartition("/")[2]
    keys += _ends(name, last)
    if "." in name:
        keys.append(f"$.{name.rpartition('.')[2]}")
    return keys


def _is_exact(glob: str) -> bool:
    """Whether the keys alone say what the glob says."""
    if "?" in glob:
        return False
    first, *middle, last = re.split(r"\*+", glob)
    if any(middle):
        return not first and not last and bool(re.fullmatch("/[^/]*/", "*".join(middle)))
    return first[-1:] in ("", "/") and (not last or bool(re.fullmatch(r"\.[^./]*", last)))
