"""One hit per file: its best segment stands for it, and files of equal contents stand together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from unite.library.scan import Kind, kind_of
from unite.stores.protocol import Found, Record


@dataclass(slots=True)
class Folded:
    """A hit and what it stands for.

    Attributes:
        found: The best part of the file.
        segments: How many further parts of it were found.
        copies: Other files whose contents are the same.
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
    hits: list[Folded] = []
    by_file: dict[str, Folded] = {}
    by_contents: dict[tuple[str, str], Folded] = {}
    for one in found:
        record = one.record
        file, contents = file_of(record), (record.modality, record.digest)
        if (hit := by_file.get(file)) is not None:
            hit.segments += file == file_of(hit.found.record)
        elif (hit := by_contents.get(contents)) is not None:
            hit.copies.append(record.path)
        else:
            hit = Folded(one)
            hits.append(hit)
        by_file[file] = hit
        by_contents.setdefault(contents, hit)
    return hits
