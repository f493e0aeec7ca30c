"""One version of a LanceDB table, and searches within it.

Everything that answers one search reads the same version, however much is written meanwhile. Few
vectors are compared all, through the matrix; many through the engine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from unite.stores.filters import EVERYTHING, Filter
from unite.stores.lance_schema import FIELDS, IDENTITY, to_matrix, to_records
from unite.stores.lance_sql import condition
from unite.stores.matrix import GONE, MappedMatrix, Rows, load, renew
from unite.stores.protocol import Found, Matrix, Record
from unite.stores.topk import BLOCK, near_the_top, rescored
from unite.types import Vector

SPARE = 32
"""Further candidates asked of the engine, so that rounding does not decide who makes the cut."""

REFINE = 10
"""Candidates of the approximate index per result wanted, compared again by their true vectors."""

SELECTIVE = 1000
"""Rows up to which all that a filter admits is read and compared. At 1536 numbers 400 rows take
10 ms and 4,000 take 63, where the engine's filtered scan of a table of 40,000 takes 220."""

FILTERS_KEPT = 32
AT_ONCE = 8192

Places = npt.NDArray[np.intp]


class Snapshot:
    """A table as it stood at one version.

    Args:
        table: An open table that does not follow newer versions.
        folder: Where the matrix is kept.
        exact_limit: Most rows for which a matrix is kept.
        patience: Seconds to wait for another process that makes the matrix.
    """

    def __init__(self, table: Any, folder: Path, exact_limit: int, patience: float) -> None:
        self._table = table
        self._dim: int = table.schema.field("vector").type.list_size
        self.version = int(table.version)
        self.count = int(table.count_rows())
        self.fault = ""
        self.is_held_up = False
        self._matrix = self._mapped(folder, patience) if 0 < self.count <= exact_limit else None
        self._places: OrderedDict[Filter, Places] = OrderedDict()
        self._guard = Lock()

    @property
    def is_exact(self) -> bool:
        """Whether the matrix answers."""
        return self._matrix is not None

    def search(self, query_D: Vector, k: int, where: Filter, probes: int | None) -> list[Found]:
        """The k nearest among those admitted, best first, ties in the order of ids.

        Args:
            query_D: The query, shape (D,).
            k: Number of results.
            where: What may be found.
            probes: Partitions of the approximate index to look into; None where there is none.
        """
        k = min(k, self.count)
        if k < 1:
            return []
        if self._matrix is not None:
            rows, scores = self._compared(self._matrix, query_D, k, where)
        else:
            rows, scores = self._asked(query_D, k, where, probes)
        names = self._ids(rows)
        pairs = zip(scores.tolist(), rows.tolist(), strict=True)
        best = sorted(pairs, key=lambda pair: (-pair[0], names[pair[1]]))[:k]
        records = self._records([row for _, row in best])
        return [Found(records[row], score) for score, row in best]

    def _compared(
        self, matrix: MappedMatrix, query_D: Vector, k: int, where: Filter
    ) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Rows near the top k among all that are admitted, with their cosines."""
        places = self._admitted(matrix, where)
        if not len(places):
            return np.empty(0, np.uint64), np.empty(0)
        rough = _products(matrix.vectors_SD, places, query_D)
        near = places[near_the_top(rough, min(k, len(places)))]
        return matrix.rows_S[near], rescored(matrix.vectors_SD, near, query_D)

    def _asked(
        self, query_D: Vector, k: int, where: Filter, probes: int | None
    ) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Few rows that a filter admits, or the engine's candidates, with their cosines."""
        few = self._few(where)
        table = self._candidates(query_D, k, where, probes) if few is None else few
        vectors = to_matrix(table, self._dim)
        if not len(vectors):
            return np.empty(0, np.uint64), np.empty(0)
        return table["_rowid"].to_numpy(), rescored(vectors, np.arange(len(vectors)), query_D)

    def _few(self, where: Filter) -> Any:
        """Vectors of all rows that a filter admits; None where they are many."""
        if where == EVERYTHING:
            return None
        rows = self._rows(condition(where), SELECTIVE + 1)
        return self._taken(rows.tolist(), ["vector"]) if len(rows) <= SELECTIVE else None

    def _candidates(self, query_D: Vector, k: int, where: Filter, probes: int | None) -> Any:
        """What the engine finds, through its index where there is one."""
        query = self._table.search(query_D, vector_column_name="vector")
        query = query.distance_type("cosine").limit(k + SPARE).with_row_id(True)
        query = query.select(["vector", "_distance"])
        if where != EVERYTHING:
            query = query.where(condition(where), prefilter=True)
        if probes is None:
            return query.bypass_vector_index().to_arrow()
        return through_index(query, probes).to_arrow()

    def _mapped(self, folder: Path, patience: float) -> MappedMatrix | None:
        """The matrix of this version; where none can be kept, the engine compares."""
        identity = (self._table.schema.metadata or {}).get(IDENTITY, b"").decode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "matrix.lock", timeout=patience):
                found = load(folder, self._dim)
                if found and (found.identity, found.version) == (identity, self.version):
                    return found
                rows = self._rows("")
                return renew(folder, self._dim, identity, self.version, rows, self._fetch)
        except OSError as error:
            self.is_held_up = isinstance(error, Timeout)
            self.fault = f"No matrix can be kept in {folder}: {error}. Searches are slower."
            return None

    def _admitted(self, matrix: MappedMatrix, where: Filter) -> Places:
        """Places of the matrix that a filter admits; the engine evaluates it once a version."""
        with self._guard:
            if where not in self._places:
                self._places[where] = self._evaluated(matrix, where)
            self._places.move_to_end(where)
            if len(self._places) > FILTERS_KEPT:
                self._places.popitem(last=False)
            return self._places[where]

    def _evaluated(self, matrix: MappedMatrix, where: Filter) -> Places:
        if where == EVERYTHING:
            return np.flatnonzero(matrix.rows_S != GONE)
        return np.flatnonzero(np.isin(matrix.rows_S, self._rows(condition(where))))

    def _rows(self, sql: str, most: int | None = None) -> Rows:
        query = self._table.search().select(["_rowid"]).limit(most)
        table = (query.where(sql) if sql else query).to_arrow()
        return np.asarray(table["_rowid"].to_numpy(), np.uint64)

    def _fetch(self, rows: Rows) -> Iterator[tuple[Rows, Matrix]]:
        """Vectors of rows: by a scan where most of the table is wanted."""
        if len(rows) * 2 > self.count:
            wanted = np.sort(rows)
            query = self._table.search().select(["_rowid", "vector"])
            for batch in query.to_batches(batch_size=AT_ONCE):
                found = batch["_rowid"].to_numpy()
                keep = np.isin(found, wanted)
                vectors = batch["vector"].flatten().to_numpy().reshape(-1, self._dim)
                yield found[keep], vectors[keep]
            return
        for first in range(0, len(rows), AT_ONCE):
            table = self._taken(rows[first : first + AT_ONCE].tolist(), ["vector"])
            yield table["_rowid"].to_numpy(), to_matrix(table, self._dim)

    def _taken(self, rows: Sequence[int], columns: list[str]) -> Any:
        return self._table.take_row_ids(list(rows)).select(columns).with_row_id().to_arrow()

    def _ids(self, rows: Rows) -> dict[int, str]:
        if not len(rows):
            return {}
        table = self._taken(rows.tolist(), ["id"])
        return dict(zip(table["_rowid"].to_pylist(), table["id"].to_pylist(), strict=True))

    def _records(self, rows: Sequence[int]) -> dict[int, Record]:
        if not rows:
            return {}
        table = self._taken(rows, FIELDS)
        return dict(zip(table["_rowid"].to_pylist(), to_records(table), strict=True))


def through_index(query: Any, probes: int) -> Any:
    """A query of the engine's as it is answered by the approximate index.

    Args:
        query: The query.
        probes: Partitions to look into; more where they hold too few that a filter admits.
    """
    return query.minimum_nprobes(probes).maximum_nprobes(0).refine_factor(REFINE)


def _products(vectors_SD: Matrix, places: Places, query_D: Vector) -> Matrix:
    """Rough cosines of the vectors in some places, shape (len(places),)."""
    if len(places) * 16 > len(vectors_SD):  # gathering costs more than multiplying all of them
        return np.asarray(vectors_SD @ query_D)[places]
    step = max(1, BLOCK // len(query_D))
    parts = [vectors_SD[places[at : at + step]] @ query_D for at in range(0, len(places), step)]
    return np.concatenate(parts)
