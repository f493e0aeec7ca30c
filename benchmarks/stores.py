"""What a search of 100,000 vectors costs by the matrix, by LanceDB's scan and by its index.

Usage: python benchmarks/stores.py [--rows 100000] [--dim 1536] [--queries 50]
Vectors are clustered (1,000 centres). The numbers it printed stand in stores.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from unite.stores.filters import Filter
from unite.stores.grammar import parse_filter
from unite.stores.indexing import build
from unite.stores.lance import LanceStore
from unite.stores.protocol import Record, Row
from unite.stores.state import read_facts, state_folder

BATCH = 5000
FILTERS = {
    "everything": "",
    "half": "modality:image",
    "a tenth": "path:*/folder7/*",
    "one in 100": "path:*/folder7/*07.jpg",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1536)
    parser.add_argument("--queries", type=int, default=50)
    asked = parser.parse_args()
    print(f"{asked.rows} x {asked.dim}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        measure(folder, asked.rows, asked.dim, asked.queries)


def measure(folder: str, count: int, dim: int, queries: int) -> None:
    store = LanceStore.create(folder, dim)
    took = timed(lambda: [store.upsert(rows) for rows in batches(count, dim)])
    print(f"insert {count / took:.0f} rows/s")
    changed = next(batches(1000, dim))
    print(f"upsert of 1000 known rows {timed(lambda: store.upsert(changed)) * 1e3:.0f} ms")
    store.tidy()
    asked = vectors(queries, dim, seed=9)
    matrix = LanceStore.open(folder)
    print(f"first search, matrix built {timed(lambda: matrix.search(asked[0], 10)):.2f} s")
    opened = timed(lambda: LanceStore.open(folder).search(asked[0], 10))
    print(f"open and first search, matrix there {opened * 1e3:.0f} ms")
    store.upsert(changed[:256])
    print(f"search after a commit {timed(lambda: matrix.search(asked[0], 10)) * 1e3:.0f} ms")
    flat = LanceStore.open(folder, exact_limit=0)
    report("matrix", matrix, asked, matrix)
    report("flat scan", flat, asked[: max(5, queries // 10)], matrix)
    print(f"index built in {timed(lambda: build(folder, 0)):.0f} s")
    facts = read_facts(state_folder(folder), store._identity)
    print(f"its own measure: recall {facts.recall:.3f} with {facts.probes} probes")  # type: ignore[union-attr]
    report("index", flat, asked, matrix)
    print(
        f"disk {sum(p.stat().st_size for p in Path(folder).rglob('*') if p.is_file()) / 1e6:.0f} MB"
    )


def report(name: str, store: LanceStore, asked: np.ndarray, truth: LanceStore) -> None:
    for label, text in FILTERS.items():
        where = parse_filter(text)
        first = timed(lambda: store.search(asked[0], 10, where))  # noqa: B023
        times = sorted(timed(lambda: store.search(one, 10, where)) for one in asked)  # noqa: B023
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        recall = np.mean([shared(store, truth, one, where) for one in asked])
        print(
            f"{name:10} {label:13} first {first * 1e3:6.0f} ms, p50 {p50 * 1e3:6.1f} ms,"
            f" p95 {p95 * 1e3:6.1f} ms, recall@10 {recall:.3f}"
        )


def shared(store: LanceStore, truth: LanceStore, query: np.ndarray, where: Filter) -> float:
    true = {one.record.id for one in truth.search(query, 10, where)}
    return len(true & {one.record.id for one in store.search(query, 10, where)}) / len(true)


def batches(count: int, dim: int) -> Iterator[list[Row]]:
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        for_all = vectors(size, dim, seed=first + 1)
        yield [Row(record(first + n), for_all[n]) for n in range(size)]


def record(n: int) -> Record:
    path = f"/home/someone/Pictures/folder{n % 10}/IMG_{n:08}.jpg"
    return Record(
        id=path, path=path, source=path, digest=f"{n:064}", size=2_000_000 + n,
        mtime_ns=(1_600_000_000 + 60 * n) * 10**9, modality=("image", "video")[n % 2],
    )  # fmt: skip


def vectors(count: int, dim: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).standard_normal((1000, dim), dtype=np.float32)
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, dim), dtype=np.float32)
    raw = centres[random.integers(0, 1000, count)] + noise
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
