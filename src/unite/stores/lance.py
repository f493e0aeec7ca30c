"""A store on disk or in object storage: one LanceDB table.

LanceDB commits a write by publishing a new manifest: a process killed in the middle leaves the
last version whole, and readers in other processes see each commit at once. Three traps shape this
file. Creating a table is *not* atomic, a kill leaves a folder without a manifest: `create` lays a
new table over whatever lies there, and the library names the table only afterwards. LanceDB must
not be used across a fork. Its import costs more than a second, so it happens at first use.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from unite.errors import LibraryError
from unite.stores.protocol import (
    EVERYTHING,
    Filter,
    Found,
    Matrix,
    Record,
    Row,
    Stats,
    check_query,
    stack,
)
from unite.stores.topk import top_k
from unite.types import Vector

TABLE = "records"
IDS_AT_ONCE = 1000
"""Longest list of names in one SQL condition."""

SPARE = 32
"""Further candidates asked of the engine, so that rounding does not decide who makes the cut."""

_WHOLE = ("size", "mtime_ns", "parts")
_TIMES = ("start", "end")
_WORDS = ("id", "path", "source", "digest", "modality", "text")
_PLAIN = (*_WORDS, *_WHOLE, *_TIMES)
_FIELDS = [*_PLAIN, "meta"]


class LanceStore:
    """One LanceDB table, searched exactly.

    Up to `exact_limit` admitted rows, their vectors are read once per version of the table and
    searched by one matrix product; the matrices last read are kept for the next query. Above it,
    the engine scans.

    Args:
        table: An open LanceDB table; use `create` or `open`.
        exact_limit: Most vectors to hold in memory.
    """

    def __init__(self, table: Any, *, exact_limit: int = 200_000) -> None:
        self._table = table
        self._dim: int = table.schema.field("vector").type.list_size
        self._exact_limit = exact_limit
        self._matrices: OrderedDict[tuple[int, str], tuple[list[str], Matrix]] = OrderedDict()

    @classmethod
    def create(cls, uri: str, dim: int, *, exact_limit: int = 200_000) -> LanceStore:
        """Make an empty table, over the ruins of an interrupted attempt if there are any.

        Args:
            uri: Local folder or address in object storage.
            dim: Length of a vector.
            exact_limit: Most vectors to hold in memory.
        """
        base, schema = _connect(uri), _schema(dim)
        try:
            table = base.create_table(TABLE, schema=schema)
        except ValueError:  # what LanceDB raises for a table that is there already
            table = base.create_table(TABLE, schema=schema, mode="overwrite")
        return cls(table, exact_limit=exact_limit)

    @classmethod
    def open(cls, uri: str, *, exact_limit: int = 200_000) -> LanceStore:
        """Open an existing table.

        Raises:
            LibraryError: There is no table.
        """
        try:
            table = _connect(uri).open_table(TABLE)
        except ValueError as error:  # what LanceDB raises for a table that does not exist
            raise LibraryError(
                f"There is no table of vectors at {uri}.", "Index into a new library."
            ) from error
        return cls(table, exact_limit=exact_limit)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def upsert(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id, in one commit."""
        last = {row.record.id: row for row in rows}
        if not last:
            return
        merge = self._table.merge_insert("id").when_matched_update_all()
        merge.when_not_matched_insert_all().execute(_to_arrow(list(last.values()), self._dim))

    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that do not exist are no error."""
        for condition in _among("id", ids):
            self._table.delete(condition)

    def get(self, ids: Sequence[str]) -> list[Row]:
        """Rows in the order of the ids; ids that do not exist are left out."""
        found: dict[str, Row] = {}
        for condition in _among("id", ids):
            table = self._read([*_FIELDS, "vector"], condition)
            for record, vector in zip(_to_records(table), self._vectors(table), strict=True):
                found[record.id] = Row(record, vector)
        return [found[name] for name in ids if name in found]

    def records(self, sources: Iterable[str] | None = None) -> list[Record]:
        """Records without vectors, sorted by id."""
        conditions = [""] if sources is None else _among("source", sources)
        found = [record for sql in conditions for record in _to_records(self._read(_FIELDS, sql))]
        return sorted(found, key=lambda record: record.id)

    def search(self, vector: Vector, k: int, where: Filter = EVERYTHING) -> list[Found]:
        """The k nearest by cosine among those admitted, ties in the order of ids."""
        query_1D = check_query(vector, self._dim)
        sql = _sql(where)
        if self._count(sql) <= self._exact_limit:
            ids, matrix_ND = self._matrix(sql)
        else:
            ids, matrix_ND = self._nearest(query_1D, k + SPARE, sql)
        rows_1K, scores_1K = top_k(query_1D, matrix_ND, k, ids)
        names = [ids[index] for index in rows_1K[0]]
        known = {row.record.id: row.record for row in self.get(names)}
        scored = zip(names, scores_1K[0].tolist(), strict=True)
        return [Found(known[name], score) for name, score in scored if name in known]

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        return self._count(_sql(where))

    def stats(self) -> Stats:
        """How much the store holds."""
        labels = Counter(self._read(["modality"], "")["modality"].to_pylist())
        return Stats(labels.total(), dict(sorted(labels.items())))

    def tidy(self) -> None:
        """Merge small fragments; versions older than a day are dropped, for readers at work."""
        self._table.optimize(cleanup_older_than=datetime.timedelta(days=1))

    def _count(self, sql: str) -> int:
        return int(self._table.count_rows(sql or None))

    def _read(self, columns: list[str], sql: str) -> Any:
        query = self._table.search().select(columns)
        return (query.where(sql) if sql else query).to_arrow()

    def _vectors(self, table: Any) -> Matrix:
        """The vector column as a matrix, shape (N, D)."""
        parts = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
        flat = np.concatenate(parts) if parts else np.empty(0, np.float32)
        return flat.reshape(-1, self._dim)

    def _matrix(self, sql: str) -> tuple[list[str], Matrix]:
        """All admitted vectors, from memory where the table has not changed since."""
        key = (int(self._table.version), sql)
        if key not in self._matrices:
            table = self._read(["id", "vector"], sql)
            self._matrices[key] = (table["id"].to_pylist(), self._vectors(table))
        self._matrices.move_to_end(key)
        self._forget(key[0])
        return self._matrices[key]

    def _forget(self, version: int) -> None:
        """Drop matrices of other versions, then the oldest, until the limit holds."""
        for key in [key for key in self._matrices if key[0] != version]:
            del self._matrices[key]
        while (
            len(self._matrices) > 1
            and sum(len(ids) for ids, _ in self._matrices.values()) > self._exact_limit
        ):
            self._matrices.popitem(last=False)

    def _nearest(self, query_1D: Matrix, k: int, sql: str) -> tuple[list[str], Matrix]:
        """The engine's own candidates with their vectors."""
        query = self._table.search(query_1D[0], vector_column_name="vector")
        query = query.distance_type("cosine").select(["id", "vector", "_distance"]).limit(k)
        table = (query.where(sql, prefilter=True) if sql else query).to_arrow()
        return table["id"].to_pylist(), self._vectors(table)


def _connect(uri: str) -> Any:
    import lancedb

    # Zero: every read looks for a newer version, so a reader follows a writer elsewhere.
    return lancedb.connect(uri, read_consistency_interval=datetime.timedelta(0))


def _schema(dim: int) -> Any:
    import pyarrow as pa

    types = dict.fromkeys(_WHOLE, pa.int64()) | dict.fromkeys(_TIMES, pa.float64())
    fields = [
        pa.field(name, types.get(name, pa.string()), nullable=name in _TIMES) for name in _FIELDS
    ]
    return pa.schema([*fields, pa.field("vector", pa.list_(pa.float32(), dim), nullable=False)])


def _to_arrow(rows: Sequence[Row], dim: int) -> Any:
    import pyarrow as pa

    matrix_ND = stack(rows, dim)
    columns: dict[str, Any] = {name: [getattr(row.record, name) for row in rows] for name in _PLAIN}
    columns["meta"] = [json.dumps(dict(row.record.meta), sort_keys=True) for row in rows]
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(matrix_ND.ravel()), dim)
    return pa.table(columns, schema=_schema(dim))


def _to_records(table: Any) -> Iterator[Record]:
    for row in table.select(_FIELDS).to_pylist():
        yield Record(**{**row, "meta": json.loads(row["meta"])})


def _sql(where: Filter) -> str:
    """A filter as an SQL condition; empty where everything is admitted."""
    parts = []
    if where.modalities is not None:
        labels = ", ".join(_quoted(label) for label in sorted(where.modalities))
        parts.append(f"modality IN ({labels})" if labels else "false")
    if where.glob is not None:
        words = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
        pattern = "".join(words.get(char, char) for char in where.glob)
        parts.append(f"path LIKE {_quoted(pattern)}")
    return " AND ".join(parts)


def _among(column: str, values: Iterable[str]) -> Iterator[str]:
    """SQL conditions for lists of values, each of a length that the engine can parse."""
    unique = sorted(set(values))
    for first in range(0, len(unique), IDS_AT_ONCE):
        names = ", ".join(_quoted(name) for name in unique[first : first + IDS_AT_ONCE])
        yield f"{column} IN ({names})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
