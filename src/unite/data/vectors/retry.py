"""Embed the failed rows of a finished output again; all others stay as they are, bit for bit.

New results go into a journal of parts with the rows' numbers. When it is whole, it is applied;
to apply it twice changes nothing, so that a kill at any moment is made good by the same command.

A part bears the digest of the input up to its last row, the last one that of the whole input. So
what was tried again with other rows is found out, however that attempt ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unite.data.vectors.digest import EMPTY, Watched
from unite.data.vectors.job import Outcome, check_kind, other_input
from unite.data.vectors.output import Output
from unite.data.vectors.parts import drop_journal, part_path, read_parts, remove_partials
from unite.data.vectors.rows import Record, Row, embed_rows
from unite.data.vectors.table import (
    NUMBER,
    Facts,
    Kind,
    read_facts,
    total,
    with_facts,
    write_tables,
)
from unite.data.vectors.writer import Cadence, Entry, OnRow, write_parts
from unite.errors import DataError
from unite.types import Encoder

if TYPE_CHECKING:
    import pyarrow as pa


def retry_failed(
    output: Output,
    records: Iterable[Record],
    encoder: Encoder,
    kind: Kind,
    *,
    on_row: OnRow = lambda done, failed: None,
    cadence: Cadence | None = None,
) -> Outcome:
    """Embed the failed rows of an output again.

    Args:
        output: It is finished.
        records: Every row of its input.
        encoder: The model.
        kind: As the output's.
        on_row: Called with the number of rows tried again and of those that failed again.
        cadence: When a part of the journal is written.

    Raises:
        DataError: There is no finished output, it is of another kind or input, another process
            writes it, or the disk is full.
    """
    with output.locked():
        there = output.finished()
        if there is None:
            raise DataError(
                f"{output.path} is not finished.", "Finish it first, without --retry-failed."
            )
        check_kind(output, there, kind)
        if there.failed == 0:
            return Outcome(rows=there.rows, failed=0, embedded=0)
        parts = _journal(output, there)
        kept = sum(part.rows for part in parts)
        if not (parts and parts[-1].last):
            output.retried.mkdir(exist_ok=True)
            remove_partials(output.retried)
            failing = _Failing(output, records, parts)
            entries = _entries(
                output, there.digest, failing, embed_rows(encoder, failing, kind.dim)
            )
            write_parts(output.retried, kind, entries, parts, cadence or Cadence(), on_row)
        _apply(output, parts)
        again = total(parts)
        return Outcome(rows=there.rows, failed=again.failed, embedded=again.rows - kept)


def _journal(output: Output, there: Facts) -> list[Facts]:
    """What was tried again already; a journal of another output in this place is dropped."""
    parts = read_parts(output.retried)
    if parts and not _belongs(output, there, parts):
        drop_journal(output.retried)
        return []
    return parts


def _belongs(output: Output, there: Facts, parts: Sequence[Facts]) -> bool:
    """Whether a journal holds the rows that failed in an output, as far as it goes.

    Of one that is whole, some results may be in the output already.
    """
    last = parts[-1]
    if last.kind != there.kind or (last.digest == there.digest) != last.last:
        return False
    tried = _tried(output, parts)
    coming = next(tried, None)
    for number, (_, error) in enumerate(output.errors()):
        if coming is not None and coming[0] == number:
            applied = last.last and coming[1] is None
            if error is None and not applied:
                return False
            coming = next(tried, None)
        elif error is not None and (last.last or coming is not None):
            return False
    return coming is None


def _tried(output: Output, parts: Sequence[Facts]) -> Iterator[tuple[int, str | None]]:
    """Number and error of every row of a journal."""
    import pyarrow.parquet as pq

    for part in parts:
        if part.rows:
            table = pq.read_table(part_path(output.retried, part.first), columns=[NUMBER, "error"])
            yield from zip(table[NUMBER].to_pylist(), table["error"].to_pylist(), strict=True)


class _Failing:
    """The failed rows of an input that are not tried again yet.

    Args:
        output: Tells which rows failed.
        records: The whole input.
        parts: What is tried already.
    """

    def __init__(self, output: Output, records: Iterable[Record], parts: Sequence[Facts]) -> None:
        self._output = output
        self._after = _last_number(output.retried, parts)
        self._digest = parts[-1].digest if parts else EMPTY
        self.watched = Watched(records)
        self.places: deque[tuple[int, str]] = deque()
        """Number of each row, and the digest up to it."""

    def __iter__(self) -> Iterator[Record]:
        rows = zip_longest(self.watched, self._output.errors())
        for number, (record, there) in enumerate(rows):
            if record is None or there is None:
                raise _refused(self._output, f"it had {'more' if there else 'fewer'} rows")
            digest = self.watched.next_digest()
            if number == self._after and digest != self._digest:
                drop_journal(self._output.retried)
                raise DataError(
                    f"What was tried again for {self._output.path} came from other rows.",
                    "It is dropped: give the same command again.",
                )
            if there[1] is not None and number > self._after:
                self.places.append((number, digest))
                yield record


def _entries(
    output: Output, digest: str, failing: _Failing, rows: Iterable[Row]
) -> Iterator[Entry]:
    """An entry for each row; the last one when all of the input is known to be the output's."""
    held: Entry | None = None
    for row in rows:
        if held is not None:
            yield held
        number, up_to = failing.places.popleft()
        held = Entry(row, up_to, number)
    if failing.watched.value != digest:
        raise _refused(output, "its rows were others")
    if held is not None:
        yield replace(held, digest=digest)


def _refused(output: Output, rows: str) -> DataError:
    """For another input; what was tried again with it is dropped."""
    drop_journal(output.retried)
    return other_input(output, rows)


def _last_number(folder: Path, parts: Sequence[Facts]) -> int:
    import pyarrow.parquet as pq

    if not parts:
        return -1
    numbers = pq.read_table(part_path(folder, parts[-1].first), columns=[NUMBER])[NUMBER]
    return int(numbers[-1].as_py())


def _apply(output: Output, parts: Sequence[Facts]) -> None:
    """Put the new results in their places, file by file."""
    import pyarrow.parquet as pq

    mended = _Mended([part_path(output.retried, part.first) for part in parts if part.rows])
    for path in output.files():
        facts = read_facts(path)
        if mended.touches(facts.end):
            # Every failed row was tried again: those that failed again are all that failed.
            failed = mended.failed(facts.end) if output.is_folder else total(parts).failed
            schema = with_facts(pq.read_schema(path), replace(facts, failed=failed))
            write_tables(path, _groups(path, facts.first, mended), schema)
    drop_journal(output.retried)


def _groups(path: Path, first: int, mended: _Mended) -> Iterator[pa.Table]:
    """Row groups of a file with the new results in them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group).replace_schema_metadata(None)
            new = mended.take(first + table.num_rows)
            order = np.arange(table.num_rows)
            places = new[NUMBER].to_numpy() - first
            failed = table["error"].is_valid().to_numpy()[places]
            order[places[failed]] = table.num_rows + np.flatnonzero(failed)
            yield pa.concat_tables([table, new.drop_columns([NUMBER])]).take(order)
            first += table.num_rows


class _Mended:
    """New results in the order of their rows, a part in memory at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        import pyarrow.parquet as pq

        self._coming = (pq.read_table(path).replace_schema_metadata(None) for path in paths)
        self._held: pa.Table | None = next(self._coming, None)

    def touches(self, end: int) -> bool:
        """Whether the next row has a number below."""
        return self._reach(end, 1) > 0

    def failed(self, end: int) -> int:
        """How many of the coming rows with a number below have failed again."""
        count = self._reach(end)
        return 0 if self._held is None else count - self._held["error"][:count].null_count

    def take(self, end: int) -> pa.Table:
        """The coming rows with a number below; they come no more."""
        count = self._reach(end)
        assert self._held is not None
        taken, self._held = self._held.slice(0, count), self._held.slice(count)
        return taken

    def _reach(self, end: int, enough: int | None = None) -> int:
        """How many of the coming rows have a number below; not more are looked for than enough."""
        import pyarrow as pa

        if self._held is None:
            return 0
        while self._held.num_rows == 0 or self._held[NUMBER][-1].as_py() < end:
            more = None if enough and self._held.num_rows else next(self._coming, None)
            if more is None:
                break
            self._held = pa.concat_tables([self._held, more])
        return int(np.searchsorted(self._held[NUMBER].to_numpy(), end))
