"""Sources become a store, row by row."""

from __future__ import annotations

import hashlib
import io
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from unite.data.layout import MEDIA, Index, LeftOut, read_index, tidy, write_index, write_whole
from unite.data.mixture import kind_of
from unite.data.records import BadRow, pair_row
from unite.data.sources import Source, fingerprint, read_source
from unite.errors import DataError
from unite.types import Pair

_FORM = 1  # of the files; another makes old stores be built anew
_STEP = 1000  # rows between two reports of progress

Progress = Callable[[int, int | None], None]


def build(sources: Mapping[str, Source], directory: Path, progress: Progress) -> None:
    """See `PairStore.build`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / "store.lock"):
            wanted = _fingerprint(sources)
            found = read_index(directory)
            if found is None or found.fingerprint != wanted:
                _Builder(sources, directory, progress).run(wanted)
    except OSError as error:
        raise DataError(
            f"Cannot write the store of pairs in {directory}: {error.strerror}.",
            "Is there space, and may one write there?",
        ) from error


class _Builder:
    def __init__(self, sources: Mapping[str, Source], directory: Path, progress: Progress) -> None:
        self.sources = sources
        self.directory = directory
        self.progress = progress
        self.sizes = dict.fromkeys(sources, 0)
        self.bad: list[LeftOut] = []
        self.offsets = array("q", [0])
        self.kinds = array("B")
        self.content = hashlib.sha256()

    def run(self, wanted: str) -> None:
        """Write everything, the index last, then remove what it does not name."""
        unnamed = write_whole(self.directory / "pairs.partial", self._lines())
        told = json.dumps([self.sizes, [asdict(row) for row in self.bad]])
        self.content.update(told.encode())
        index = Index(self.sizes, self.bad, self.content.hexdigest(), wanted)
        unnamed.replace(index.path(self.directory, "pairs"))
        offsets = np.frombuffer(self.offsets, np.int64)
        write_whole(index.path(self.directory, "offsets"), _npy(offsets))
        write_whole(index.path(self.directory, "kinds"), _npy(np.frombuffer(self.kinds, np.uint8)))
        write_index(self.directory, index)
        tidy(self.directory, index)

    def _lines(self) -> Iterator[bytes]:
        for name, source in self.sources.items():
            for row in read_source(source, name, self.directory / MEDIA):
                if isinstance(row, BadRow):
                    self.bad.append(LeftOut(name, row.number, row.id, row.error))
                else:
                    self.sizes[name] += 1
                    yield self._line(row)
        self.progress(len(self.kinds), len(self.kinds))

    def _line(self, pair: Pair) -> bytes:
        line = json.dumps(pair_row(pair)).encode() + b"\n"
        self.content.update(line)
        self.offsets.append(self.offsets[-1] + len(line))
        self.kinds.append(kind_of(pair.query.modality, pair.target_modality))
        if len(self.kinds) % _STEP == 0:
            self.progress(len(self.kinds), None)
        return line


def _npy(values: npt.NDArray[np.generic]) -> Iterator[bytes]:
    file = io.BytesIO()
    np.save(file, values)
    yield file.getvalue()


def _fingerprint(sources: Mapping[str, Source]) -> str:
    row = [_FORM, [[name, fingerprint(source)] for name, source in sources.items()]]
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()
