"""One hit per file: its best segment stands for it, and files of equal contents stand together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from unite.library.parts import FILE
from unite.library.scan import Kind, kind_of
from unite.stores.protocol import Found, Record


@dataclass(slots=True)
class Folded:
    """A hit and what it stands for.

    Attributes:
        found: The best part of the file.
        segments: How many further parts of it were found.
        copies: Other files whose contents are the same: all of them, not this part alone.
    """

    found: Found
    segments: int = 0
    copies: list[str] = field(default_factory=list)


def file_of(record: Record) -> str:
    """What a record is a part of: its file, or itself where a file lists independent items."""
    return record.id if kind_of(record.source) is Kind.ITEMS else record.source


def fold(found: Iterable[Found]) -> list[Folded]:
    """Put parts of one file, and files of equal contents, behind the first of them.

    A longer list never changes what stands at the places of a shorter one.

    Args:
        found: Hits, best first.
    """
    return joined(map(Folded, found))


def joined(folded: Iterable[Folded]) -> list[Folded]:
    """Do the same with hits that stand for others already; what they stood for is kept.

    Args:
        folded: Hits, best first; they are not used any more.
    """
    hits: list[Folded] = []
    by_file: dict[str, Folded] = {}
    by_contents: dict[tuple[str, str], Folded] = {}
    told: dict[str, set[str]] = {}  # by the id of a hit: its own path and those of its copies
    for one in folded:
        record = one.found.record
        file, contents = file_of(record), contents_of(record)
        if (hit := by_file.get(file)) is not None:
            hit.segments += (1 + one.segments) * (file == file_of(hit.found.record))
            copies = one.copies
        elif contents is not None and (hit := by_contents.get(contents)) is not None:
            copies = [record.path, *one.copies]
        else:
            hit, copies = one, []
            hits.append(hit)
            told[record.id] = {record.path, *one.copies}
        known = told[hit.found.record.id]
        hit.copies.extend(path for path in dict.fromkeys(copies) if path not in known)
        known.update(copies)
        by_file[file] = hit
        if contents is not None:
            by_contents.setdefault(contents, hit)
    return hits


def contents_of(record: Record) -> tuple[str, str] | None:
    """What is equal only where whole files, or independent items, are; None where nothing tells.

    A clip's segments are named by their file's digest; two letters may share a passage.
    """
    if FILE in record.meta:
        return record.modality, record.meta[FILE]
    alone = record.parts == 1 or record.id == file_of(record) or record.start is not None
    return (record.modality, record.digest) if alone else None
