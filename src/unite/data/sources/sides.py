"""The two sides of a pair, put together from cells of a table or members of a shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unite.data.sources.extract import keep
from unite.data.sources.suffixes import medium_of
from unite.errors import DataError, did_you_mean

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


def medium_in(data: bytes, name: str | None) -> Part:
    """Which kind of medium some bytes are, and the ending of its name: by name, else by sight."""
    if name and (kind := medium_of(name)):
        return kind, Path(name).suffix
    if data[4:8] == b"ftyp":
        still = data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
        return ("image", ".avif") if still else ("video", ".mp4")
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "video", ".mkv"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "video", ".avi"
    return "image", ""


def _part(name: str, kind: str, value: Any, extracted: Path) -> Part | None:
    if value is None or value in ("", []):
        return None
    if isinstance(value, list):
        held = [part for one in value if (part := _part(name, kind, one, extracted))]
        kinds = {part[0] for part in held}
        if len(kinds) > 1:
            raise DataError(f"The list in column {name!r} holds both texts and media.")
        return (kinds.pop(), [part[1] for part in held]) if held else None
    if isinstance(value, str):
        return kind or medium_of(value) or "text", value
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, Mapping) or not {"bytes", "path"} & set(value):
        raise DataError(
            f"Column {name!r} holds {type(value).__name__}; text, a path or a medium is expected."
        )
    data, path = value.get("bytes"), value.get("path")
    if data is None:
        return (kind or medium_of(path) or "image", path) if path else None
    found, suffix = medium_in(data, path)
    return kind or found, keep(data, suffix, extracted)


def _side(held: Sequence[Part]) -> dict[str, Any]:
    """A side in the form of a pair file, its keys in the order of its parts."""
    made: dict[str, Any] = {}
    for kind, value in held:
        if kind == "text":
            made[kind] = f"{made[kind]}\n{value}" if kind in made else value
        else:
            made[kind] = [*made.get(kind, []), *(value if isinstance(value, list) else [value])]
    return made
