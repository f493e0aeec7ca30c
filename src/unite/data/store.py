"""All training pairs on disk, read one at a time, whatever their number and form was.

Legend: N rows of all sources together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from unite.data.building import Progress, build
from unite.data.layout import LeftOut, damaged, read_index
from unite.data.records import parse_pair
from unite.data.sources import Source
from unite.errors import DataError, ItemError
from unite.types import Pair

__all__ = ["LeftOut", "PairStore"]


class PairStore(Sequence[Pair]):
    """All pairs of some sources, rows numbered over their concatenation.

    Reading a row is one `pread`; the object may be pickled to a spawned process or used after a
    fork. Made by `build` or `open`.

    Attributes:
        directory: Where it lies.
        sizes: Rows of each source, in the order of their concatenation.
        kind_N: For each row, query modality times 8 plus target modality; see `mixture.kind_label`.
        bad: The rows that were left out.
        digest: Hash of everything in it.
    """

    def __init__(self, directory: Path) -> None:
        index = read_index(directory)
        if index is None:
            raise DataError(f"{directory} holds no store of pairs.", "Build it first.")
        self.directory = directory
        self.sizes = index.sizes
        self.bad = index.bad
        self.digest = index.digest
        self._path = index.path(directory, "pairs")
        self._file: int | None = None
        try:
            self._offsets: npt.NDArray[np.int64] = _mapped(index.path(directory, "offsets"))
            self.kind_N: npt.NDArray[np.uint8] = _mapped(index.path(directory, "kinds"))
        except (OSError, ValueError) as error:
            raise damaged(directory, error) from error

    @classmethod
    def build(
        cls,
        sources: Mapping[str, Source],
        directory: Path,
        *,
        progress: Progress = lambda done, total: None,
    ) -> PairStore:
        """Read all sources into a store; what is there is reused if they have not changed.

        Several processes may call this at once: one builds, the others wait and open.

        Args:
            sources: By name, in the order of their rows.
            directory: Made if missing.
            progress: Called with the rows read and the whole, which is None until the end.

        Raises:
            DataError: A source cannot be read, or the directory cannot be written.
        """
        build(sources, directory, progress)
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> PairStore:
        """Open what `build` made.

        Raises:
            DataError: There is no store, or it is damaged.
        """
        return cls(directory)

    def __len__(self) -> int:
        return len(self.kind_N)

    @overload
    def __getitem__(self, row: int) -> Pair: ...
    @overload
    def __getitem__(self, row: slice) -> list[Pair]: ...
    def __getitem__(self, row: int | slice) -> Pair | list[Pair]:
        """Read one row, or several.

        Raises:
            IndexError: There is no such row.
            DataError: The store is damaged.
        """
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        number = row + len(self) if row < 0 else row
        if not 0 <= number < len(self):
            raise IndexError(f"There is no row {row}; the store has {len(self)}.")
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        try:
            return parse_pair(json.loads(os.pread(self._opened(), end - start, start)))
        except (OSError, ValueError, DataError, ItemError) as error:
            raise damaged(self.directory, error) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.directory, self.digest)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._opened())

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY)
        return self._file


def _mapped(path: Path) -> Any:
    # An empty array cannot be mapped, and a short one need not be.
    return np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None)


def _again(directory: Path, digest: str) -> PairStore:
    """Runs where a store is unpickled."""
    store = PairStore(directory)
    if store.digest != digest:
        raise DataError(f"The store in {directory} has been built anew.", "Start again.")
    return store
