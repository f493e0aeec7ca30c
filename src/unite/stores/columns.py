"""Filters over records in memory: one mask over columns of numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from unite.stores.filters import (
    AllOf,
    AnyOf,
    Between,
    Filter,
    HasModality,
    HasTag,
    Not,
    PathMatches,
    glob_pattern,
)
from unite.stores.protocol import Record

Mask = npt.NDArray[np.bool_]


class Columns:
    """What filters ask of records, column by column.

    Args:
        records: The records; a mask has one place for each, in their order.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._modality = np.array([record.modality for record in records], np.str_)
        self._paths = [record.path for record in records]
        self._tags = [frozenset(record.tags) for record in records]
        self._numbers: dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]] = {
            "modified": np.array([record.modified for record in records], np.int64),
            "size": np.array([record.size for record in records], np.int64),
            "duration": np.array([_or_nan(record.duration) for record in records], np.float64),
        }

    def mask(self, where: Filter) -> Mask:
        """Which records pass.

        Args:
            where: The filter.

        Raises:
            TypeError: It is of a kind that this engine does not know.
        """
        match where:
            case AllOf(parts):
                return reduce(np.logical_and, map(self.mask, parts), self._all(True))
            case AnyOf(parts):
                return reduce(np.logical_or, map(self.mask, parts), self._all(False))
            case Not(part):
                return ~self.mask(part)
            case HasModality(label):
                return np.asarray(self._modality == label, np.bool_)
            case PathMatches(glob):
                match_whole = glob_pattern(glob).fullmatch
                return _mask(match_whole(path) is not None for path in self._paths)
            case HasTag(tag):
                return _mask(tag in tags for tags in self._tags)
            case Between():
                return self._between(where)
        raise TypeError(f"{where!r} is no filter.")

    def _all(self, value: bool) -> Mask:
        return np.full(len(self._paths), value)

    def _between(self, where: Between) -> Mask:
        numbers = self._numbers[where.measure]
        mask = ~np.isnan(numbers)
        if where.low is not None:
            mask &= numbers >= where.low
        if where.high is not None:
            mask &= numbers < where.high
        return mask


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _mask(values: Iterable[bool]) -> Mask:
    return np.fromiter(values, np.bool_)
