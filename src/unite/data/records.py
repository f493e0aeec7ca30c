"""Item files and pair files: rows of JSON into items and pairs, and back.

Two forms are read: JSONL, a row a line, and the released UNITE form, one JSON array.
Relative paths resolve against the folder of the file.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from unite.data.json_array import elements
from unite.errors import DataError, ItemError, did_you_mean
from unite.types import Clip, Item, Modality, Pair

_PARTS = ("text", "image", "video")
ITEM_KEYS = {*_PARTS, "id", "idx", "instruction", "target_modal"}
_PAIR_KEYS = {
    "query", "candidate", "negative", "target_modal", "source",
    "query_id", "candidate_id", "negative_id", "candidate_also_id", "negative_also_id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no item: its place, its id where it has one, and the reason."""

    number: int
    id: str
    error: str


def parse_item(row: Any, folder: Path | None = None) -> Item:
    """Read one item from its JSON form.

    Args:
        row: ``{"id"?, "text"?, "image"?: path | [path], "video"?: path | [path] |
            {"path", "start", "end"}, "instruction"?}``; the order of its keys is kept.
        folder: What relative paths resolve against; None leaves them as they are.

    Raises:
        ItemError: The row is no object, has an unknown key or a value of a wrong type.
    """
    if not isinstance(row, Mapping):
        raise ItemError(f"An item is a JSON object, not {type(row).__name__}.")
    unknown = [key for key in row if key not in ITEM_KEYS]
    if unknown:
        raise ItemError(
            f"Unknown key {unknown[0]!r} in the item.", did_you_mean(unknown[0], ITEM_KEYS)
        )
    given = [key for key in row if key in _PARTS and row[key] not in (None, [])]
    name = _name(row)
    return Item(
        text=_text(row, "text"),
        images=tuple(_path(ref, folder, "image") for ref in _listed(row.get("image"))),
        videos=tuple(_clip(ref, folder) for ref in _listed(row.get("video"))),
        instruction=_text(row, "instruction"),
        order=tuple(Modality.parse(key) for key in given),
        id=None if name is None else str(name),
    )


def item_row(item: Item) -> dict[str, Any]:
    """Write an item as JSON; `parse_item` of it gives the item again (pictures in memory aside)."""
    row: dict[str, Any] = {} if item.id is None else {"id": item.id}
    if item.instruction is not None:
        row["instruction"] = item.instruction
    for part in item.order:
        if part is Modality.TEXT:
            row["text"] = item.text
        elif part is Modality.IMAGE:
            row["image"] = _unlisted(list(item.images))
        else:
            row["video"] = _unlisted([_clip_row(clip) for clip in item.videos])
    return row


def content_id(item: Item) -> str:
    """A name for what an item holds: equal for equal references, whatever its id."""
    row = item_row(item)
    row.pop("id", None)
    return hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()[:16]


def canonical(item: Item) -> Item:
    """The same parts in the usual order, each path in its shortest spelling; `..` stays.

    Its `content_id` names what a side holds where the data do not: a page whose picture comes
    first is the same page.
    """
    images = tuple(_spelt(one) if isinstance(one, str) else one for one in item.images)
    videos = tuple(
        clip if (path := _spelt(clip.path)) == clip.path else replace(clip, path=path)
        for clip in item.videos
    )
    same = images == item.images and videos == item.videos
    if same and [*item.order] == sorted(item.order):
        return item
    return replace(item, images=images, videos=videos, order=())


def is_address(reference: str) -> bool:
    """Whether it is a `data:` URI or has a scheme, and so is no path."""
    return "://" in reference or reference[:5].lower() == "data:"


def parse_pair(row: Any, folder: Path | None = None, source: str = "") -> Pair:
    """Read one training pair from its JSON form.

    Args:
        row: ``{"query": side, "candidate": side, "negative"?: side | [side],
            "target_modal"?: "text,image"}``, optionally with content ids ``query_id``,
            ``candidate_id``, ``negative_id``; without them it is the `content_id` of the
            `canonical` side.
            ``candidate_also_id`` and ``negative_also_id`` name another meaning that the side
            has as well.
        folder: What relative paths resolve against.
        source: The data set's name, where the row gives none.

    Raises:
        DataError: The row is no pair.
        ItemError: One of its sides is no item.
    """
    if not isinstance(row, Mapping) or "query" not in row or "candidate" not in row:
        raise DataError("A pair is a JSON object with 'query' and 'candidate'.")
    unknown = [key for key in row if key not in _PAIR_KEYS]
    if unknown:
        raise DataError(
            f"Unknown key {unknown[0]!r} in the pair.", did_you_mean(unknown[0], _PAIR_KEYS)
        )
    query, candidate = parse_item(row["query"], folder), parse_item(row["candidate"], folder)
    negatives = tuple(parse_item(side, folder) for side in _listed(row.get("negative")))
    target = _text(row, "target_modal")
    ids = tuple(str(name) for name in _listed(row.get("negative_id")))
    if ids and len(ids) != len(negatives):
        raise DataError(f"The pair has {len(negatives)} negatives but {len(ids)} negative ids.")
    also = tuple(str(name) for name in _listed(row.get("negative_also_id")))
    if also and len(also) != len(negatives):
        raise DataError(f"{len(negatives)} negatives but {len(also)} other ids of them.")
    return Pair(
        query=query,
        candidate=candidate,
        negatives=negatives,
        target_modality=Modality.parse(target) if target else candidate.modality,
        query_id=_id(row.get("query_id"), query),
        candidate_id=_id(row.get("candidate_id"), candidate),
        negative_ids=ids or tuple(map(_told_id, negatives)),
        source=str(row.get("source") or source),
        candidate_also_id=_text(row, "candidate_also_id"),
        negative_also_ids=also,
    )


def pair_row(pair: Pair) -> dict[str, Any]:
    """Write a pair as JSON, its ids spelt out; `parse_pair` of it gives the pair again."""
    row: dict[str, Any] = {
        "query": item_row(pair.query),
        "candidate": item_row(pair.candidate),
        "target_modal": pair.target_modality.label,
        "query_id": pair.query_id,
        "candidate_id": pair.candidate_id,
        "source": pair.source,
    }
    if pair.negatives:
        row["negative"] = [item_row(item) for item in pair.negatives]
        row["negative_id"] = list(pair.negative_ids)
    if pair.candidate_also_id is not None:
        row["candidate_also_id"] = pair.candidate_also_id
    if pair.negative_also_ids:
        row["negative_also_id"] = list(pair.negative_also_ids)
    return row


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a JSON array or a JSONL file with their numbers, counted from 1.

    Rows are read one at a time: the released arrays are gigabytes. A line that is not JSON is
    yielded as the error it raised, so that its neighbours stay; of an array that does not parse
    the rows before the fault have been yielded when it is raised.

    Raises:
        DataError: The file cannot be opened, or is an array that does not parse.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    with file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise DataError(f"{path} is not UTF-8 but UTF-16.", "Save it as UTF-8.")
        file.seek(0)
        yield from _array(path, file) if is_array(file) else read_lines(file)


def read_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    """Yield the rows of JSONL with the numbers of their lines; a broken one as its error."""
    for number, line in enumerate(split_lines(lines), 1):
        if line.strip():
            try:
                yield number, json.loads(line.decode())
            except UnicodeDecodeError as error:
                reason = f"byte {error.start + 1} of line {number} is none of it"
                yield number, DataError(f"This is not UTF-8: {reason}.", "Save it as UTF-8.")
            except (ValueError, RecursionError) as error:  # also numbers too long to read
                reason = getattr(error, "msg", str(error))
                yield number, DataError(f"Line {number} is not JSON: {reason}.")


def split_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file in bytes, whatever ends them, without a byte order mark."""
    mark = codecs.BOM_UTF8
    for line in lines:
        yield from line.removeprefix(mark).splitlines()
        mark = b""


def parse_row(number: int, row: Any, folder: Path | None) -> Item | BadRow:
    """Turn one row into an item with an id, or into the reason why it is none."""
    name = str(number)
    if isinstance(row, DataError):
        return BadRow(number, name, str(row))
    if isinstance(row, Mapping):
        given = _name(row)
        name = name if given is None else str(given)
        row = {**row, "id": name}
    try:
        return parse_item(row, folder)
    except (ItemError, DataError) as error:
        return BadRow(number, name, str(error))


def read_pairs(path: Path, source: str | None = None) -> list[Pair]:
    """Read a pair file whole.

    Args:
        path: The released form (a JSON array) or JSONL.
        source: The data set's name; the file's own name by default.

    Raises:
        DataError: A row is no pair; the message names its number.
    """
    folder = path.parent.resolve()
    pairs = []
    for number, row in read_rows(path):
        if isinstance(row, DataError):
            raise row
        try:
            pairs.append(parse_pair(row, folder, source or path.stem))
        except (ItemError, DataError) as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return pairs


def is_array(file: BinaryIO) -> bool:
    """Whether a file holds an array: it then stands at the bracket, else at its start."""
    file.seek(len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0)
    for piece in iter(lambda: file.read(1 << 16), b""):
        if rest := piece.lstrip():
            file.seek(-len(rest), os.SEEK_CUR)
            break
    if found := file.read(1) == b"[":
        file.seek(-1, os.SEEK_CUR)
    else:
        file.seek(0)
    return found


def _array(path: Path, file: BinaryIO) -> Iterator[tuple[int, Any]]:
    try:
        with io.TextIOWrapper(file, "utf-8") as text:
            yield from enumerate(elements(path, text), 1)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error}.", "Save it as UTF-8.") from error


def _spelt(path: str) -> str:
    """The shortest spelling of a path; `..` stays, since it may lead out of a link."""
    return path if is_address(path) or ".." in path else os.path.normpath(path)


def _id(given: Any, item: Item) -> str:
    return _told_id(item) if given in (None, "") else str(given)


def _told_id(item: Item) -> str:
    return content_id(canonical(item))


def _name(row: Mapping[str, Any]) -> Any:
    """The row's own id, `idx` in the released form; null is none."""
    return row.get("idx") if row.get("id") is None else row["id"]


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise ItemError(f"{key!r} is a string, not {type(value).__name__}.")
    return value


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _unlisted(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _path(ref: Any, folder: Path | None, kind: str) -> str:
    if isinstance(ref, Mapping) and set(ref) == {kind}:  # the released form {"image": path}
        ref = ref[kind]
    if not isinstance(ref, str) or not ref:
        raise ItemError(f"{kind!r} is a path or a list of paths, not {ref!r}.")
    if folder is None or is_address(ref):
        return ref
    return str(folder / ref)


def _clip(ref: Any, folder: Path | None) -> Clip:
    if not isinstance(ref, Mapping) or "path" not in ref:
        return Clip(_path(ref, folder, "video"))
    unknown = [key for key in ref if key not in ("path", "start", "end")]
    if unknown:
        raise ItemError(f"Unknown key {unknown[0]!r} in the clip; known: path, start, end.")
    start, end = _seconds(ref, "start"), _seconds(ref, "end")
    if end is not None and end <= (start or 0.0):
        raise ItemError(f"The clip ends at {end} s, before it starts at {start or 0.0} s.")
    return Clip(_path(ref["path"], folder, "video"), start, end)


def _seconds(ref: Mapping[str, Any], key: str) -> float | None:
    value = ref.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ItemError(f"The clip's {key!r} is a time in seconds, not {value!r}.")
    return float(value)


def _clip_row(clip: Clip) -> str | dict[str, Any]:
    if clip.start is None and clip.end is None:
        return clip.path
    return {"path": clip.path, "start": clip.start, "end": clip.end}
