"""The two sides of a pair, put together from cells of a table or members of a shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unite.data.sources.extract import keep
from unite.errors import DataError, did_you_mean
from unite.media.suffixes import medium_of

Part = tuple[str, Any]
"""What a cell holds: ``"text"`` and one or several texts, or ``"image"``/``"video"`` and paths."""

_FORCED = ("text", "image", "video")


def parts(row: Mapping[str, Any], columns: str, extracted: Path) -> list[Part]:
    """What the named columns of a row hold.

    A string that ends like a picture or a clip is a path. ``text:name``, ``image:name`` and
    ``video:name`` say what a column is where that is not so.

    Args:
        row: A row of a table.
        columns: Names, separated by commas, in the order of the prompt.
        extracted: Where media that lie in the table are written.

    Raises:
        DataError: There is no such column, or it holds none of these.
    """
    found: list[Part] = []
    for column in columns.split(","):
        kind, _, name = column.strip().rpartition(":")
        if kind not in ("", *_FORCED):
            kind, name = "", column.strip()
        if name not in row:
            raise DataError(f"There is no column {name!r}.", did_you_mean(name, map(str, row)))
        if (part := _part(name, kind, row[name], extracted)) is not None:
            found.append(part)
    return found


def pairs_of(query: Sequence[Part], candidate: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """One pair, or one for each text where a side holds several of the same thing.

    Raises:
        DataError: Both sides hold several texts.
    """
    several = [
        (side, place)
        for side, held in enumerate((query, candidate))
        for place, (kind, value) in enumerate(held)
        if kind == "text" and isinstance(value, list)
    ]
    if len(several) > 1:
        raise DataError("Both sides hold a list of texts.", "Give a row to each pair.")
    if not several:
        yield {"query": _side(query), "candidate": _side(candidate)}
        return
    side, place = several[0]
    for text in (query, candidate)[side][place][1]:
        sides = [list(query), list(candidate)]
        sides[side][place] = ("text", text)
        yield {"query": _side(sides[0]), "candidate": _side(sides[1])}


def is_blank(value: Any) -> bool:
    """Whether it is text without a sign that could be read."""
    return isinstance(value, str) and not value.strip()


def _part(name: str, kind: str, value: Any, extracted: Path) -> Part | None:
    """What one cell holds; None if nothing."""
    if value is None or value == [] or is_blank(value):
        return None
    if not isinstance(value, list):
        return _single(name, kind, value, extracted)
    given = [one for one in value if one is not None and not is_blank(one)]
    held = [_single(name, kind, one, extracted) for one in given]
    kinds = {part[0] for part in held}
    if len(kinds) > 1:
        raise DataError(f"The list in column {name!r} holds both texts and media.")
    return (kinds.pop(), [part[1] for part in held]) if held else None


def _single(name: str, kind: str, value: Any, extracted: Path) -> Part:
    if isinstance(value, str):
        return kind or medium_of(value) or "text", value
    cell = value if isinstance(value, Mapping) else {"bytes": value}
    data, path = cell.get("bytes"), cell.get("path")
    if isinstance(data, bytes) and kind != "text":
        kept = keep(data, extracted)
        return kind or medium_of(path or "") or medium_of(kept) or "image", kept
    if data is None and isinstance(path, str) and path:
        known = kind or medium_of(path) or "image"
        times = {key: cell[key] for key in ("start", "end") if cell.get(key) is not None}
        return known, {"path": path, **times} if known == "video" and times else path
    raise DataError(
        f"Column {name!r} holds {type(value).__name__}; text, a path or a medium is expected."
    )


def _side(held: Sequence[Part]) -> dict[str, Any]:
    """A side in the form of a pair file, its keys in the order of its parts."""
    made: dict[str, Any] = {}
    for kind, value in held:
        if kind == "text":
            made[kind] = f"{made[kind]}\n{value}" if kind in made else value
        else:
            made[kind] = [*made.get(kind, []), *(value if isinstance(value, list) else [value])]
    return made
