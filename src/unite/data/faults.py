"""What can be wrong with data files, and how much of it is."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


class Trouble(enum.StrEnum):
    """What kind of fault it is; the worst come first.

    FILE: it breaks off, or has no row. ROW: no pair or item, or its text does not fit its media.
    MEDIUM: it cannot be decoded. The others spoil nothing. NOTE: a medium is not all that it claims
    to be. TARGET: what is wanted is of other parts than the candidate. DUPLICATE: a row is an
    earlier one again. SAME: a query is its own candidate.
    """

    FILE = "file"
    ROW = "row"
    MEDIUM = "medium"
    NOTE = "note"
    TARGET = "target"
    DUPLICATE = "duplicate"
    SAME = "same"


@dataclass(slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: What it is.
        source: The name of the source.
        number: The row's number in its file; of a medium, of the first row that names it; None
            where the file breaks off or is empty.
        place: What the row is called, such as ``MSCOCO/metadata.json:7``.
        reason: In words.
        path: The medium, where it is one.
        rows: How many rows are touched.
    """

    kind: Trouble
    source: str
    number: int | None
    place: str
    reason: str
    path: str | None = None
    rows: int = 1


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        forms: The kind of each source, as given or recognised.
        rows: Rows of all sources.
        broken: Rows that are no pair or item, or that name a medium which cannot be decoded.
        kinds: Rows that are pairs or items, by their modalities.
        media: Distinct pictures and clips, however many rows name them.
        unreadable: How many of them cannot be decoded.
        notes: How many can, but are not all that they claim to be, such as a clip cut short.
        duplicates: Rows that are an earlier row again.
        same: Pairs whose query is their candidate.
        asked_again: Queries that have several candidates.
        faults: Every fault; rows in their order, then media, then duplicates.
    """

    forms: dict[str, str]
    rows: int = 0
    broken: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    media: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    notes: int = 0
    duplicates: int = 0
    same: int = 0
    asked_again: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def broken_off(self) -> int:
        """Files that break off or have no row."""
        return sum(fault.kind is Trouble.FILE for fault in self.faults)

    @property
    def sound(self) -> bool:
        """Whether every row can be used."""
        return not self.broken and not self.broken_off

    def to_json(self) -> dict[str, Any]:
        """All counts, without the faults themselves."""
        names = [one.name for one in fields(self) if one.name != "faults"]
        values = {name: getattr(self, name) for name in names}
        counts = {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in values.items()
        }
        good = self.rows - self.broken
        return {"sound": self.sound, "good": good, "broken_off": self.broken_off, **counts}
