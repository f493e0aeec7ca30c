"""Which input rows an output belongs to: a running hash of their words and references."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator

from unite.data.records import item_row
from unite.data.vectors.rows import Record
from unite.types import Item

EMPTY = hashlib.sha256().hexdigest()
"""Of no rows."""


class Watched:
    """An input that is read once, with the digest of all rows up to each.

    What the files hold that rows refer to does not count.

    Args:
        records: The rows.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = iter(records)
        self._hash = hashlib.sha256()
        self._waiting: deque[str] = deque()
        self.rows = 0

    def __iter__(self) -> Iterator[Record]:
        while (record := self._next()) is not None:
            self._waiting.append(self.value)
            yield record

    @property
    def value(self) -> str:
        """The digest of all rows that were read."""
        return self._hash.copy().hexdigest()

    def next_digest(self) -> str:
        """The digest up to the first row that was read and not asked for here before."""
        return self._waiting.popleft()

    def is_past(self, rows: int, digest: str, *, last: bool) -> bool:
        """Read on to a number of rows and tell whether they are those of a digest.

        Args:
            rows: How many rows it covers, from the very first.
            digest: What they gave.
            last: Whether the input is to end there.
        """
        while self.rows < rows and self._next() is not None:
            pass
        same = self.rows == rows and self.value == digest
        return same and not (last and self._next() is not None)

    def _next(self) -> Record | None:
        record = next(self._records, None)
        if record is not None:
            row = item_row(record) if isinstance(record, Item) else [record.id, record.error]
            self._hash.update(json.dumps(row).encode() + b"\n")
            self.rows += 1
        return record
