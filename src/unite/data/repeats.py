"""What stands in a data set twice: found from a few bytes a row, for millions of rows.

Legend: N rows.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from unite.data.records import item_row
from unite.types import Item

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Multiplying by an odd number loses nothing of 64 bits, and makes (a, b) other than (b, a)."""


def item_hash(item: Item) -> int:
    """64 bits of what an item holds, whatever its id.

    Among ten million different items, two share them with a chance of 3 in a million.
    """
    row = item_row(replace(item, id=None))
    digest = hashlib.blake2b(json.dumps(row, default=repr).encode(), digest_size=8)
    return int.from_bytes(digest.digest())


class Repeats:
    """Rows as they come, compared when all are there; numbered from 0."""

    def __init__(self) -> None:
        self._queries = array("Q")
        self._candidates = array("Q")
        self._rows = array("q")
        self._next = 0

    def add(self, query: int, candidate: int) -> None:
        """Take in the next row by the hashes of its sides; of an item the second is 0."""
        self._queries.append(query)
        self._candidates.append(candidate)
        self._rows.append(self._next)
        self._next += 1

    def skip(self) -> None:
        """The next row holds nothing that could be compared."""
        self._next += 1

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Rows that are an earlier one again, each with the first such row."""
        row_N = np.frombuffer(self._rows, np.int64)
        _, first, inverse_N = np.unique(self._pairs(), return_index=True, return_inverse=True)
        first_N = first[inverse_N]
        for place in np.flatnonzero(first_N != np.arange(len(row_N))):
            yield int(row_N[place]), int(row_N[first_N[place]])

    def repeated_queries(self) -> int:
        """How many queries have more than one candidate."""
        query_N = np.frombuffer(self._queries, np.uint64)
        _, first = np.unique(self._pairs(), return_index=True)
        _, counts = np.unique(query_N[first], return_counts=True)
        return int((counts > 1).sum())

    def _pairs(self) -> npt.NDArray[np.uint64]:
        query_N = np.frombuffer(self._queries, np.uint64)
        candidate_N = np.frombuffer(self._candidates, np.uint64)
        return query_N * _ODD ^ candidate_N
