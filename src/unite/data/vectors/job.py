"""Embed an input into an output, part by part, so that no kill costs more than a part.

The input is read once. Rows that a finished part holds are compared with it and passed over; the
rest is embedded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from unite.data.vectors.digest import Watched
from unite.data.vectors.output import Output
from unite.data.vectors.parts import drop_journal, read_parts, remove_partials
from unite.data.vectors.rows import Record, Row, embed_rows
from unite.data.vectors.table import Facts, Kind, total
from unite.data.vectors.writer import Cadence, Entry, OnRow, write_parts
from unite.errors import DataError
from unite.types import Encoder

Work = Callable[[Watched], Iterator[Entry]]
"""Reads records and gives an entry for each, with the digest up to it, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of an output.

    Attributes:
        rows: Rows in it.
        failed: How many of them have no vector.
        embedded: Rows that were worked on now; the others were there.
    """

    rows: int
    failed: int
    embedded: int


def embed_file(
    output: Output,
    records: Iterable[Record],
    encoder: Encoder,
    kind: Kind,
    *,
    restart: bool = False,
    on_row: OnRow = lambda done, failed: None,
    cadence: Cadence | None = None,
) -> Outcome:
    """`embed_with` a model of this process."""

    def work(watched: Watched) -> Iterator[Entry]:
        for row in embed_rows(encoder, watched, kind.dim):
            yield Entry(row, watched.next_digest())

    return embed_with(work, output, records, kind, restart=restart, on_row=on_row, cadence=cadence)


def embed_with(
    work: Work,
    output: Output,
    records: Iterable[Record],
    kind: Kind,
    *,
    restart: bool = False,
    on_row: OnRow = lambda done, failed: None,
    cadence: Cadence | None = None,
) -> Outcome:
    """Embed every record, or those that are not done yet.

    Args:
        work: Makes an entry of each record, in order.
        output: Where to.
        records: Every row of the input, also when some are done.
        kind: Model, length and precision; what is there must be of the same.
        restart: Discard what is there.
        on_row: Called with the number of rows done and of those that failed.
        cadence: When a part is written.

    Raises:
        DataError: What is there comes from other rows or is of another kind, another process
            writes it, or the disk is full.
    """
    with output.locked():
        if restart:
            output.discard()
        watched = Watched(records)
        done = None if restart else output.finished()
        parts = [done] if done else read_parts(output.parts)
        for part in parts:
            check_kind(output, part, kind)
            _pass_over(output, part, watched)
        if not parts:  # what was tried again of an older output is nothing to this one
            drop_journal(output.retried)
        kept = sum(part.rows for part in parts)
        if done is None:
            _go_on(output, work(watched), kind, parts, on_row, cadence or Cadence())
        whole = total(parts)
        return Outcome(rows=whole.rows, failed=whole.failed, embedded=whole.rows - kept)


def embed_stream(
    records: Iterable[Record],
    encoder: Encoder,
    kind: Kind,
    write: Callable[[Row], object],
    on_row: OnRow = lambda done, failed: None,
) -> Outcome:
    """Hand on every row as it comes; nothing is kept."""
    done = failed = 0
    for row in embed_rows(encoder, records, kind.dim):
        write(row)
        done, failed = done + 1, failed + (row.error is not None)
        on_row(done, failed)
    return Outcome(rows=done, failed=failed, embedded=done)


def check_kind(output: Output, there: Facts, wanted: Kind) -> None:
    """Refuse to mix vectors of different kinds.

    Raises:
        DataError: What is there is of another model, length or precision.
    """
    for name in ("model_id", "dim", "precision"):
        old, new = getattr(there, name), getattr(wanted, name)
        if old != new:
            raise DataError(
                f"{output.path} was begun with {name} {old}, not {new}.",
                "Name another output, or begin anew with --restart.",
            )


def other_input(output: Output, rows: str) -> DataError:
    """What is raised where the input is not the one of the output."""
    return DataError(
        f"The input is not the one that {output.path} was begun with: {rows}.",
        "Give that input, name another output, or begin anew with --restart.",
    )


def _pass_over(output: Output, part: Facts, watched: Watched) -> None:
    if not watched.is_past(part.end, part.digest, last=part.last):
        ends = " and nothing after them" if part.last else ""
        raise other_input(output, f"it had other rows up to {part.end}{ends}")


def _go_on(
    output: Output,
    entries: Iterator[Entry],
    kind: Kind,
    parts: list[Facts],
    on_row: OnRow,
    cadence: Cadence,
) -> None:
    output.parts.mkdir(exist_ok=True)
    remove_partials(output.parts)
    if not (parts and parts[-1].last):
        write_parts(output.parts, kind, entries, parts, cadence, on_row)
    output.assemble(parts)
