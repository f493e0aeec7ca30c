"""What one file is made of: items to embed, each with the record to keep of it.

A picture is one part; a clip is one, and one more for each of its segments. A text or PDF is one
part per passage, an item file one per row. A part's digest covers what its vector is made from and
nothing else, so a part whose digest is known keeps its vector wherever it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from unite.data.item_folder import LONGEST
from unite.data.records import BadRow, item_row
from unite.errors import DataError, ItemError
from unite.library.clips import ClipFacts
from unite.library.listed import read_listed
from unite.library.passages import PASSAGE, passages
from unite.library.pdf import Pages
from unite.library.scan import Caption, Kind, Source
from unite.media.source import changed_at, file_state
from unite.stores.protocol import Record
from unite.types import Clip, Item

CLIP, CAPTION, PAGE, FILE = "clip", "caption", "page", "file"
"""What records remember beside their fields: the digest of a clip's file, the state of a caption,
the number of a page, the digest of the file that a passage is of."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when its part was made; a vector of another state is not kept.

    The path may be a `file://` address, as a list may give it.
    """

    path: str
    size: int
    mtime_ns: int

    @property
    def holds(self) -> bool:
        """Whether the file is still as it was."""
        return file_state(self.path) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to embed, the record that its vector will belong to, and the files it shows."""

    item: Item
    record: Record
    shows: tuple[FileState, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """The parts of a file, why others of it are none, and what is to be noted, by id.

    Attributes:
        parts: What can be embedded.
        failed: Why others are none.
        notes: What a reader should know.
        unfinished: Further parts could not be told this time; the next run looks again.
    """

    parts: list[Part]
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False


class Opener(Protocol):
    """What must be opened with more care than by reading bytes."""

    def picture(self, path: str) -> tuple[int, int] | None:
        """Width and height of a picture; None where its head does not tell."""
        ...

    def clip(self, path: str, digest: str) -> ClipFacts:
        """Length, size and segments of a clip.

        Raises:
            ItemError: It cannot be opened in time.
        """
        ...

    def pdf(self, path: str) -> Pages:
        """Text of a PDF.

        Raises:
            ItemError: It cannot be opened in time.
        """
        ...


def read_parts(source: Source, opener: Opener) -> Contents:
    """Take a file apart.

    Args:
        source: The file as it was scanned.
        opener: Opens clips and PDFs.

    Raises:
        OSError: The file cannot be read.
        DataError: Its contents are not what its name promises.
        ItemError: The same, found by the opener.
    """
    facts = Path(source.path).stat()  # read before the contents: what changes later is seen later
    source = replace(source, size=facts.st_size, mtime_ns=changed_at(facts))
    found = _READERS[source.kind](source, opener)
    return _with(found, parts=len(found.parts) + len(found.failed) + found.unfinished)


def _picture(source: Source, opener: Opener) -> Contents:
    digest = _file_digest(source)
    found = _captioned(source, Item(images=(source.path,)), digest, {})
    width, height = opener.picture(source.path) or (None, None)
    return _with(found, width=width, height=height)


def _clip(source: Source, opener: Opener) -> Contents:
    digest, notes, unfinished = _file_digest(source), {}, False
    try:
        facts = opener.clip(source.path, digest)
        note = facts.note
    except ItemError as error:  # the encoder may still manage, and will say if not
        facts, note = ClipFacts(), f"as a whole only, its segments cannot be told: {error}"
        unfinished = True
    if note:
        notes[source.path] = note
    whole = _captioned(source, Item(videos=(Clip(source.path),)), digest, {CLIP: digest})
    meta = {CAPTION: source.caption.state} if source.caption else {}
    segments = [
        _part(
            source,
            Item(videos=(Clip(source.path, start, end),)),
            f"{source.path}#{number}",
            _digest(f"{digest} {start} {end}"),
            _own_state(source),
            meta,
        )
        for number, (start, end) in enumerate(facts.spans, 1)
    ]
    found = Contents([*whole.parts, *segments], whole.failed, notes, unfinished)
    return _with(found, duration=facts.seconds, width=facts.width, height=facts.height)


def _with(contents: Contents, **facts: Any) -> Contents:
    """The same parts with further facts in their records."""
    parts = [replace(part, record=replace(part.record, **facts)) for part in contents.parts]
    return replace(contents, parts=parts)


def _captioned(source: Source, item: Item, digest: str, meta: dict[str, str]) -> Contents:
    """One part: a medium, fused with its caption where it has one."""
    failed: dict[str, str] = {}
    shows = _own_state(source)
    if source.caption:
        meta = {**meta, CAPTION: source.caption.state}
        try:
            words = _read(source.caption.path).strip()
        except (DataError, OSError) as error:
            failed[source.caption.path] = f"This caption cannot be read: {error}"
            words = ""
        if words:
            item = Item(text=words, images=item.images, videos=item.videos)
            digest = _digest(f"{digest} {words}")
            shows += (_caption_state(source.caption),)
    return Contents([_part(source, item, source.path, digest, shows, meta)], failed)


def _text(source: Source, opener: Opener) -> Contents:
    named = enumerate(passages(_read(source.path)), 1)  # first: it refuses what is too long
    meta = {FILE: _file_digest(source)}
    return Contents(
        [
            _part(
                source, Item(text=passage), f"{source.path}#{number}", _digest(passage), meta=meta
            )
            for number, passage in named
        ]
    )


def _pdf(source: Source, opener: Opener) -> Contents:
    """Passages of each page; none goes over the end of its page."""
    pages = opener.pdf(source.path)
    digest = _file_digest(source)
    on_pages = [
        (page, passage) for page, text in enumerate(pages.texts, 1) for passage in passages(text)
    ]
    parts = [
        _part(
            source,
            Item(text=passage),
            f"{source.path}#{number}",
            _digest(passage),
            meta={PAGE: str(page), FILE: digest},
        )
        for number, (page, passage) in enumerate(on_pages, 1)
    ]
    return Contents(parts, notes={source.path: pages.note} if pages.note else {})


def _items(source: Source, opener: Opener) -> Contents:
    found = Contents([])
    seen: set[str] = set()
    try:
        for row, tags in read_listed(Path(source.path)):
            name = f"{source.path}#{row.id}"
            if name in seen:
                found.failed[f"{name} (again)"] = "its id stands twice in the file"
            elif isinstance(row, BadRow):
                found.failed[name] = row.error
            else:
                found.parts.append(_listed(source, row, name, tags))
            seen.add(name)
    except UnicodeDecodeError as error:
        raise DataError(
            f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
        ) from error
    return found


def _listed(source: Source, item: Item, name: str, tags: tuple[str, ...]) -> Part:
    """A listed item; its digest tells which files it names, and in which state they are."""
    paths = [*(str(image) for image in item.images), *(clip.path for clip in item.videos)]
    shows = tuple(state for path in paths if (state := _state(path)))
    stamps = [[state.path, state.size, state.mtime_ns] for state in shows]
    digest = _digest(json.dumps([{**item_row(item), "id": None}, stamps]))
    part = _part(source, item, name, digest, shows)
    return replace(part, record=replace(part.record, tags=tags))


def _part(
    source: Source,
    item: Item,
    name: str,
    digest: str,
    shows: Iterable[FileState] = (),
    meta: dict[str, str] | None = None,
) -> Part:
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
        meta=meta or {},
    )
    return Part(replace(item, id=name), record, tuple(shows))


def _read(path: str) -> str:
    if Path(path).stat().st_size > LONGEST:
        raise DataError(f"The text has more than {LONGEST:,} bytes.", "Cut it into several files.")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"The text is not UTF-8 (byte {error.start}).") from error


def _own_state(source: Source) -> tuple[FileState, ...]:
    return (FileState(source.path, source.size, source.mtime_ns),)


def _caption_state(caption: Caption) -> FileState:
    return FileState(caption.path, caption.size, caption.mtime_ns)


def _state(path: str) -> FileState | None:
    state = file_state(path)  # of a file that is not there the encoder will tell
    return None if state is None else FileState(path, *state)


def _file_digest(source: Source) -> str:
    with Path(source.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_READERS: dict[Kind, Callable[[Source, Opener], Contents]] = {
    Kind.IMAGE: _picture,
    Kind.VIDEO: _clip,
    Kind.TEXT: _text,
    Kind.PDF: _pdf,
    Kind.ITEMS: _items,
}
