"""What one file is made of: items to embed, each with the record to keep of it.

A picture or a clip is one part. A text is one part per passage. An item file is one part per row.
A part's digest covers what its vector is made from and nothing else, so a part whose digest is
known keeps its vector wherever it stands.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from unite.data.items import read_items
from unite.data.records import BadRow, item_row
from unite.errors import DataError
from unite.library.scan import Kind, Source
from unite.stores.protocol import Record
from unite.types import Clip, Item

PASSAGE = 1000
"""Longest passage in characters."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to embed and the record that its vector will belong to."""

    item: Item
    record: Record


@dataclass(frozen=True, slots=True)
class Contents:
    """The parts of a file, and the reasons why other parts of it are none, by id."""

    parts: list[Part]
    failed: dict[str, str]


def read_parts(source: Source) -> Contents:
    """Take a file apart.

    Args:
        source: The file; its size and time were read before its contents.

    Raises:
        OSError: The file cannot be read.
        DataError: Its contents are not what its name promises.
    """
    found = _READERS[source.kind](source)
    whole = len(found.parts) + len(found.failed)
    parts = [Part(part.item, replace(part.record, parts=whole)) for part in found.parts]
    return Contents(parts, found.failed)


def passages(text: str, longest: int = PASSAGE) -> Iterator[str]:
    """Split a text at blank lines, joining short paragraphs and cutting long ones.

    Args:
        text: The text.
        longest: Most characters of a passage.
    """
    open_passage = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for piece in _cut(paragraph.strip(), longest):
            joined = f"{open_passage}\n\n{piece}" if open_passage else piece
            if len(joined) > longest:
                yield open_passage
                joined = piece
            open_passage = joined
    if open_passage:
        yield open_passage


def _cut(paragraph: str, longest: int) -> Iterator[str]:
    """Cut a paragraph at the end of a sentence, else at a space, else anywhere."""
    while len(paragraph) > longest:
        head = paragraph[: longest + 1]
        ends = [match.end() for match in re.finditer(r"[.!?。！？]\s", head)]
        at = ends[-1] if ends else head.rfind(" ") + 1 or longest
        yield paragraph[:at].strip()
        paragraph = paragraph[at:].strip()
    if paragraph:
        yield paragraph


def _picture(source: Source) -> Contents:
    return _one(source, Item(images=(source.path,)))


def _clip(source: Source) -> Contents:
    return _one(source, Item(videos=(Clip(source.path),)))


def _one(source: Source, item: Item) -> Contents:
    with Path(source.path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Contents([_part(source, item, source.path, digest)], {})


def _text(source: Source) -> Contents:
    try:
        text = Path(source.path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"The text is not UTF-8 (byte {error.start}).") from error
    return Contents(
        [
            _part(source, Item(text=passage), f"{source.path}#{number}", _digest(passage))
            for number, passage in enumerate(passages(text), 1)
        ],
        {},
    )


def _items(source: Source) -> Contents:
    found = Contents([], {})
    seen: set[str] = set()
    try:
        for row in read_items(Path(source.path)):
            name = f"{source.path}#{row.id}"
            if name in seen:
                found.failed[f"{name} (again)"] = "its id stands twice in the file"
            elif isinstance(row, BadRow):
                found.failed[name] = row.error
            else:
                found.parts.append(_part(source, row, name, _listed_digest(row)))
            seen.add(name)
    except UnicodeDecodeError as error:
        raise DataError(f"The file is not UTF-8 (byte {error.start}).") from error
    return found


def _part(source: Source, item: Item, name: str, digest: str) -> Part:
    clip = item.videos[0] if item.videos else Clip("")
    pictures = [image for image in item.images if isinstance(image, str)]
    shown = [*pictures, clip.path, source.path]
    record = Record(
        id=name,
        path=next(path for path in shown if path),
        source=source.path,
        digest=digest,
        modality=item.modality.label,
        size=source.size,
        mtime_ns=source.mtime_ns,
        start=clip.start,
        end=clip.end,
        text=(item.text or "")[:PASSAGE],
    )
    return Part(replace(item, id=name), record)


def _listed_digest(item: Item) -> str:
    """Digest of a listed item: its own words, and which files it names in which state."""
    row = {**item_row(item), "id": None}
    paths = [*(str(image) for image in item.images), *(clip.path for clip in item.videos)]
    return _digest(json.dumps([row, [_state(path) for path in paths]]))


def _state(path: str) -> list[int]:
    try:
        facts = Path(path).stat()
    except (OSError, ValueError):  # a URL, or a file whose absence the encoder will report
        return []
    return [facts.st_size, facts.st_mtime_ns]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_READERS: dict[Kind, Callable[[Source], Contents]] = {
    Kind.IMAGE: _picture,
    Kind.VIDEO: _clip,
    Kind.TEXT: _text,
    Kind.ITEMS: _items,
}
