"""A second run of `index` over 100,000 unchanged files: one stat each.

    python benchmarks/index_unchanged.py [--files N] [--folder DIR]

Makes the files (a few bytes each, 100 a folder), a library that holds a record of each with a
random vector, and times `ingest` again and again, with a model that must not be asked. The phases
are timed on their own after that.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unite.library.ingest import ingest
from unite.library.known import Known
from unite.library.library import Library
from unite.library.scan import scan
from unite.library.segments import Segmenting
from unite.stores.protocol import Record, Row
from unite.types import Embedding, Item

DIM = 256
RUNS = 3


class Unasked:
    """A model that is not to be used."""

    dim = DIM
    model_id = "unasked"
    dtype = "float32"

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item in items:
            raise AssertionError(item)
        yield from ()


def make_files(folder: Path, count: int) -> None:
    for n in range(count):
        path = folder / f"{n // 100:04}" / f"{n:06}.jpg"
        if n % 100 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % n)


def fill(library: Library, folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for source in scan([folder]).sources.values():
        record = Record(
            id=source.path,
            path=source.path,
            source=source.path,
            digest=Path(source.path).name,
            modality="image",
            size=source.size,
            mtime_ns=source.mtime_ns,
        )
        vector = rng.normal(size=DIM).astype(np.float32)
        rows.append(Row(record, vector / np.linalg.norm(vector)))
    for first in range(0, len(rows), 10_000):
        library.store.upsert(rows[first : first + 10_000])
    library.store.tidy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as place:
        measure(Path(place), given.files)


def measure(place: Path, files: int) -> None:
    folder = place / "media"
    make_files(folder, files)
    whole = Segmenting(how="whole")
    library = Library.create(
        place / "lib", model_id="unasked", model="unasked", dim=DIM, segmenting=whole
    )
    fill(library, folder)
    print(f"{files} files, {library.store.count()} records")
    for _ in range(RUNS):
        gc.collect()
        opened, wall, cpu = Library.open(library.path), time.perf_counter(), time.process_time()
        outcome = ingest(opened, [folder], Unasked())
        taken = time.perf_counter() - wall, time.process_time() - cpu
        assert outcome.kept == files, outcome
        print("second run: {:.2f} s, of that {:.2f} s of CPU".format(*taken))
    for name, phase in (
        ("scan", lambda: scan([folder])),
        ("records", lambda: Known(opened.store.records())),
        ("sweep", lambda: (opened.store.delete([]), opened.store.tidy())),
    ):
        wall = time.perf_counter()
        phase()
        print(f"{name}: {time.perf_counter() - wall:.2f} s")


if __name__ == "__main__":
    main()
