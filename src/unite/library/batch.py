"""Rows that are committed together, and what is said when they cannot be."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from unite.errors import LibraryError
from unite.stores.protocol import Row, Store


class Batch:
    """Collects rows and commits them by number or by time.

    Args:
        store: Where they go.
        size: Rows after which they are committed.
        seconds: Time after which they are committed although they are fewer.
    """

    def __init__(self, store: Store, size: int, seconds: float) -> None:
        self._store = store
        self._size = size
        self._seconds = seconds
        self._rows: list[Row] = []
        self._since = time.monotonic()

    def add(self, row: Row) -> None:
        """Take a row.

        Raises:
            LibraryError: The store cannot be written.
        """
        self._rows.append(row)
        if len(self._rows) >= self._size or time.monotonic() - self._since > self._seconds:
            self.commit()

    def commit(self) -> None:
        """Write what has been taken.

        Raises:
            LibraryError: The store cannot be written.
        """
        rows, self._rows = self._rows, []
        if rows:
            with _writing():
                self._store.upsert(rows)
        self._since = time.monotonic()

    def sweep(self, ids: Iterable[str]) -> None:
        """Delete what is stale, and merge what many small writes left.

        Raises:
            LibraryError: The store cannot be written.
        """
        with _writing():
            self._store.delete(ids)
            self._store.tidy()


@contextmanager
def _writing() -> Iterator[None]:
    """A full disk or a lost server, in words; engines raise OSError or RuntimeError for them."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = re.sub(r", \S+\.rs:\d+.*", ".", str(error), flags=re.DOTALL)  # whose line it is
        raise LibraryError(
            f"The library cannot be written: {reason}",
            "What was committed is safe. See that there is room, and index again.",
        ) from error
