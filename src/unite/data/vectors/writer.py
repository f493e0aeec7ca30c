"""Rows gathered into parts: a part is on disk before the next one is begun.

A part is written when the row after it is there, so that the last one knows that it is the last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from unite.data.vectors.digest import EMPTY
from unite.data.vectors.parts import part_path
from unite.data.vectors.rows import Row
from unite.data.vectors.table import Facts, Kind, table_of, with_facts, write_tables

OnRow = Callable[[int, int], object]
"""Called with the number of rows done and of those that failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cadence:
    """When a part is written: after so many rows or seconds, whichever comes first."""

    rows: int = 1024
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row for a part.

    Attributes:
        row: What became of a record.
        digest: Of the input up to it.
        number: Its place in the input, where the rows of a part do not follow each other.
    """

    row: Row
    digest: str
    number: int | None = None


def write_parts(
    folder: Path,
    kind: Kind,
    entries: Iterable[Entry],
    parts: list[Facts],
    cadence: Cadence,
    on_row: OnRow,
) -> None:
    """Write entries as parts that follow those that are there.

    Args:
        folder: Where to.
        kind: Of all vectors.
        entries: What to write.
        parts: Those that are there; new ones are added.
        cadence: When a part is written.
        on_row: Called after each row.

    Raises:
        DataError: The disk is full.
    """
    done, failed = (sum(getattr(part, name) for part in parts) for name in ("rows", "failed"))
    on_row(done, failed)
    held: list[Entry] = []
    since = time.monotonic()
    for entry in entries:
        if len(held) >= cadence.rows or (held and time.monotonic() - since >= cadence.seconds):
            parts.append(_write(folder, kind, held, parts, last=False))
            held, since = [], time.monotonic()
        held.append(entry)
        done, failed = done + 1, failed + (entry.row.error is not None)
        on_row(done, failed)
    parts.append(_write(folder, kind, held, parts, last=True))


def _write(folder: Path, kind: Kind, held: list[Entry], parts: list[Facts], *, last: bool) -> Facts:
    before = parts[-1] if parts else None
    facts = Facts(
        model=kind.model,
        model_id=kind.model_id,
        dim=kind.dim,
        precision=kind.precision,
        rows=len(held),
        failed=sum(entry.row.error is not None for entry in held),
        first=before.end if before else 0,
        last=last,
        digest=held[-1].digest if held else before.digest if before else EMPTY,
    )
    numbers = [entry.number for entry in held if entry.number is not None]
    table = table_of([entry.row for entry in held], kind, numbers or None)
    write_tables(part_path(folder, facts.first), [table], with_facts(table.schema, facts))
    return facts
