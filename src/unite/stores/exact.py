"""A store in memory: for tests, for small galleries, and as the reference of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from unite.stores.columns import Columns
from unite.stores.filters import EVERYTHING, Filter
from unite.stores.protocol import (
    Found,
    Record,
    Row,
    Stats,
    check_query,
    stack,
)
from unite.stores.topk import top_k
from unite.types import Vector


class ExactStore:
    """Rows in a dictionary, searched by one matrix product.

    Args:
        dim: Length of a vector.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._rows: dict[str, Row] = {}
        self._columns: Columns | None = None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def identity(self) -> str:
        """None: it ends with the process."""
        return ""

    def upsert(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id."""
        matrix_ND = stack(rows, self._dim)
        new = {
            row.record.id: Row(row.record, vector)
            for row, vector in zip(rows, matrix_ND, strict=True)
        }
        self._rows.update(new)
        self._columns = None

    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that do not exist are no error."""
        for name in ids:
            self._rows.pop(name, None)
        self._columns = None

    def get(self, ids: Sequence[str]) -> list[Row]:
        """Rows in the order of the ids; ids that do not exist are left out."""
        return [self._rows[name] for name in ids if name in self._rows]

    def records(self, sources: Iterable[str] | None = None) -> Iterator[Record]:
        """Records without vectors, in no order."""
        wanted = None if sources is None else set(sources)
        found = [row.record for row in self._rows.values()]
        return (record for record in found if wanted is None or record.source in wanted)

    def search(
        self, vector: Vector, k: int, where: Filter = EVERYTHING, offset: int = 0
    ) -> list[Found]:
        """The k nearest by cosine among those admitted, ties in the order of ids."""
        query_1D = check_query(vector, self._dim)
        rows = self._admitted(where)
        ids = [row.record.id for row in rows]
        found, scores = top_k(query_1D, stack(rows, self._dim), k + offset, ids)
        ranked = zip(found[0, offset:], scores[0, offset:], strict=True)
        return [Found(rows[index].record, float(score)) for index, score in ranked]

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        return len(self._admitted(where))

    def modalities(self) -> dict[str, int]:
        """Records per modality label, sorted by label."""
        return dict(sorted(Counter(row.record.modality for row in self._rows.values()).items()))

    def stats(self) -> Stats:
        """How much the store holds."""
        size = sum(row.vector.nbytes for row in self._rows.values())
        return Stats(count=len(self._rows), modalities=self.modalities(), bytes=size)

    def tidy(self) -> None:
        """Nothing to do in memory."""

    def _admitted(self, where: Filter) -> list[Row]:
        rows = list(self._rows.values())
        if self._columns is None:
            self._columns = Columns([row.record for row in rows])
        return [rows[index] for index in self._columns.mask(where).nonzero()[0]]
