"""A store on disk or in object storage: one LanceDB table.

LanceDB commits a write by publishing a new manifest: a process killed in the middle leaves the
last version whole, and readers in other processes see each commit at once. Three traps shape this
file. Creating a table is *not* atomic, a kill leaves a folder without a manifest: `create` lays a
new table over such ruins, and the library names the table only afterwards. LanceDB must
not be used across a fork. Its import costs more than a second, so it happens at first use.
"""

from __future__ import annotations

import datetime
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout

from unite.errors import LibraryError, StoreError
from unite.stores.filters import EVERYTHING, Filter
from unite.stores.indexing import (
    LEAST,
    TABLE,
    WANTED_RECALL,
    is_building,
    start,
    wants_index,
)
from unite.stores.lance_schema import (
    FIELDS,
    IDENTITY,
    migrate,
    schema,
    to_arrow,
    to_matrix,
    to_records,
)
from unite.stores.lance_sql import among, condition
from unite.stores.protocol import Found, IndexState, Record, Row, Stats, check_query
from unite.stores.snapshot import Snapshot
from unite.stores.state import LOCK, IndexFacts, read_facts, state_folder
from unite.types import Vector

EXACT_LIMIT = 200_000
"""Most vectors that are compared all through the matrix: 1.2 GB at 1536 numbers."""

LOCK_SECONDS = 60.0
"""How long another process that makes the matrix is waited for: one that was stopped never ends."""

LOOK_EVERY = 20_000
"""Rows written after which it is asked again whether an index is wanted."""


class LanceStore:
    """One LanceDB table.

    Up to `exact_limit` rows, all admitted vectors are compared through a matrix that is kept beside
    the table. Above it, an approximate index answers that a process of its own builds; until it is
    there, the engine compares all.

    Args:
        uri: Local folder or address in object storage; use `create` or `open`.
        table: The open table.
        exact_limit: Most rows for which a matrix is kept.
    """

    def __init__(self, uri: str, table: Any, *, exact_limit: int = EXACT_LIMIT) -> None:
        self._uri = uri
        self._table = table
        self._dim: int = table.schema.field("vector").type.list_size
        self._identity: str = (table.schema.metadata or {}).get(IDENTITY, b"").decode()
        self._exact_limit = exact_limit
        self._folder = state_folder(uri)
        self._snapshot: Snapshot | None = None
        self._guard = Lock()
        self._labels: tuple[int, dict[str, int]] | None = None
        self._written = 0
        self._builder: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, uri: str, dim: int, *, exact_limit: int = EXACT_LIMIT) -> LanceStore:
        """Make an empty table, over an empty one or the ruins of an interrupted attempt.

        Args:
            uri: Local folder or address in object storage.
            dim: Length of a vector.
            exact_limit: Most rows for which a matrix is kept.

        Raises:
            LibraryError: There is a table with rows.
        """
        base, wanted = _connect(uri), schema(dim)
        try:
            table = base.create_table(TABLE, schema=wanted)
        except ValueError:  # what LanceDB raises for a table that is there already
            if _holds_rows(base):
                raise LibraryError(
                    f"The table of vectors at {uri} is in use already.", "Name another place."
                ) from None
            table = base.create_table(TABLE, schema=wanted, mode="overwrite")
        return cls(uri, table, exact_limit=exact_limit)

    @classmethod
    def open(cls, uri: str, *, exact_limit: int = EXACT_LIMIT) -> LanceStore:
        """Open an existing table, and add the columns that an earlier version did not have.

        Raises:
            LibraryError: There is no table, it is damaged, or it is older and cannot be written.
        """
        with _reading(uri):
            try:
                table = _connect(uri).open_table(TABLE)
            except ValueError as error:  # what LanceDB raises for a table that does not exist
                raise LibraryError(
                    f"There is no table of vectors at {uri}.", "Index into a new library."
                ) from error
        migrate(table)
        return cls(uri, table, exact_limit=exact_limit)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def identity(self) -> str:
        """A name that no other table has."""
        return self._identity

    def upsert(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id, in one commit."""
        last = {row.record.id: row for row in rows}
        if not last:
            return
        merge = self._table.merge_insert("id").when_matched_update_all()
        new = to_arrow(list(last.values()), self._dim, self._table.schema)
        merge.when_not_matched_insert_all().execute(new)
        self._written += len(last)
        if self._written >= LOOK_EVERY:
            self._index_if_wanted()

    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that do not exist are no error."""
        for sql in among("id", ids):
            self._table.delete(sql)

    def get(self, ids: Sequence[str]) -> list[Row]:
        """Rows in the order of the ids; ids that do not exist are left out."""
        found: dict[str, Row] = {}
        for sql in among("id", ids):
            with _reading(self._uri):
                table = self._table.search().select([*FIELDS, "vector"]).where(sql).to_arrow()
            vectors = to_matrix(table, self._dim)
            for record, vector in zip(to_records(table), vectors, strict=True):
                found[record.id] = Row(record, vector)
        return [found[name] for name in ids if name in found]

    def records(self, sources: Iterable[str] | None = None) -> Iterator[Record]:
        """Records without vectors, streamed in no order."""
        for sql in ("true",) if sources is None else among("source", sources):
            with _reading(self._uri):
                batches = iter(self._table.search().select(FIELDS).where(sql).to_batches())
            while True:
                with _reading(self._uri):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield from to_records(batch)

    def search(
        self, vector: Vector, k: int, where: Filter = EVERYTHING, offset: int = 0
    ) -> list[Found]:
        """The k nearest by cosine among those admitted, ties in the order of ids."""
        query_1D = check_query(vector, self._dim)
        facts = self._facts()
        probes = facts.probes if facts and facts.rows else None
        with _reading(self._uri):
            return self._newest().search(query_1D[0], k + offset, where, probes)[offset:]

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        with _reading(self._uri):
            return int(self._table.count_rows(None if where == EVERYTHING else condition(where)))

    def modalities(self) -> dict[str, int]:
        """Records per modality label, sorted by label; counted once a version."""
        with _reading(self._uri):
            version, known = int(self._table.version), self._labels
            if known is not None and known[0] == version:
                return known[1]
            column = self._table.search().select(["modality"]).to_arrow()["modality"]
        labels = dict(sorted(Counter(column.to_pylist()).items()))
        self._labels = version, labels
        return labels

    def stats(self) -> Stats:
        """How much the store holds, and how it searches."""
        labels = self.modalities()
        count = sum(labels.values())
        facts, state = self._facts(), self._state(count)
        fault = self._snapshot.fault if self._snapshot else ""
        if facts and state == "ready" and facts.recall is not None and facts.recall < WANTED_RECALL:
            fault = f"The index finds {facts.recall:.0%} of the ten nearest. `exact` asks for more."
        return Stats(
            count=count,
            modalities=labels,
            bytes=int(self._table.stats()["total_bytes"]),
            index=state,
            indexed=self._indexed() if state == "ready" else 0,
            recall=facts.recall if facts and state == "ready" else 1.0,
            note=(facts.error if facts and state == "failed" else "") or fault,
        )

    def tidy(self) -> None:
        """Merge small fragments; versions older than a day are dropped, for readers at work.

        While an index is being built nothing is merged: its work would be lost.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / LOCK, timeout=0):
                self._table.optimize(cleanup_older_than=datetime.timedelta(days=1))
        except Timeout:
            return
        self._index_if_wanted()

    def _newest(self) -> Snapshot:
        """The newest version; what the last one had read is kept while nothing is written."""
        with self._guard:
            known = self._snapshot
            held_up = known is not None and known.is_held_up
            if known is None or held_up or known.version != self._table.version:
                pinned = _connect(self._uri, follow=False).open_table(TABLE)
                patience = 0 if held_up else LOCK_SECONDS
                known = Snapshot(pinned, self._folder, self._exact_limit, patience)
                self._snapshot = known
            return known

    def _facts(self) -> IndexFacts | None:
        return read_facts(self._folder, self._identity)

    def _state(self, count: int) -> IndexState:
        facts = self._facts()
        if count <= max(self._exact_limit, LEAST):
            return "exact"
        if facts and facts.rows:
            return "ready"
        if is_building(self._folder):
            return "building"
        return "failed" if facts else "none"

    def _indexed(self) -> int:
        names = [index.name for index in self._table.list_indices() if "vector" in index.columns]
        facts = [self._table.index_stats(name) for name in names]
        return sum(int(one.num_indexed_rows) for one in facts if one is not None)

    def _index_if_wanted(self) -> None:
        """Have the index built, once at a time, and go on."""
        self._written = 0
        is_at_work = self._builder is not None and self._builder.poll() is None
        if not is_at_work and wants_index(self.count(), self._exact_limit, self._facts()):
            self._builder = start(self._uri, self._exact_limit)


@contextmanager
def _reading(uri: str) -> Iterator[None]:
    """A damaged file or a lost connection, in words; LanceDB raises any of these for them."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = re.sub(r", \S+\.rs:\d+.*", "", str(error), flags=re.DOTALL)  # whose line it is
        raise StoreError(
            f"The vectors at {uri} are damaged or cannot be reached: {reason}.",
            "Put a backup in their place, or index into a new library.",
        ) from error


def _holds_rows(base: Any) -> bool:
    try:
        return int(base.open_table(TABLE).count_rows()) > 0
    except ValueError:  # what LanceDB raises for ruins
        return False


def _connect(uri: str, *, follow: bool = True) -> Any:
    import lancedb

    # Zero: every read looks for a newer version, so a reader follows a writer elsewhere.
    interval = datetime.timedelta(0) if follow else None
    return lancedb.connect(uri, read_consistency_interval=interval)
