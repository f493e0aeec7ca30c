"""`unite serve` over 100,000 vectors: what a search takes, and what fifty clients at once get.

The library holds clustered vectors of the model's width under names of pictures and clips; the
model has Qwen2-VL-2B's widths with one layer and random weights, or is `mini`. The server is the
real one, in a process of its own; clients share its cores.

Usage: python benchmarks/serve.py [--rows 100000] [--queries 100] [--seconds 60] [--model mini]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil

from real_width import real_width
from stores import batches

CLIENTS = 50
ASKED: dict[str, dict[str, Any]] = {
    "words": {},
    "words, the modality named": {"text": "find the clip where {}"},
    "with a filter": {"only": "image", "where": "path:*/folder6/*"},
    "plain cosine": {"raw": True},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model")
    asked = parser.parse_args()
    print(f"{asked.rows} rows, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made(folder, asked.rows, asked.model)
        with served(folder / "library") as (client, process):
            searches(client, asked.queries)
            crowd(client, process, asked.seconds)


def made(folder: Path, rows: int, model: str | None) -> None:
    """A library as `unite index` makes it, its files aside."""
    from unite.library.library import Library
    from unite.model.checkpoint import load_model, save_model

    if model is None:
        model = str(folder / "model")
        save_model(real_width(1, 1, {}, 12), Path(model))
    loaded = load_model(model)
    library = Library.create(
        folder / "library", model_id=loaded.id, model=model, dim=loaded.dim, mixed_gallery=False
    )
    for part in batches(rows, loaded.dim):
        library.store.upsert(part)
    print(f"vectors of {loaded.dim} numbers")


@contextmanager
def served(library: Path) -> Iterator[tuple[httpx2.Client, psutil.Process]]:
    """The server by its own command, once it is ready."""
    unite = str(Path(sys.executable).with_name("unite"))
    command = [unite, "serve", "-l", str(library), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("serving"))
        address = next(word for word in line.split() if word.startswith("http"))
        wires = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        with httpx2.Client(base_url=address, timeout=120, limits=wires) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.1)
            yield client, psutil.Process(process.pid)
        process.terminate()


def searches(client: httpx2.Client, queries: int) -> None:
    """One client, a page of 48 hits, words that were never asked before."""
    print("| search | first, ms | p50, ms | p95, ms |")
    print("|---|---|---|---|")
    numbers = count()
    for name, change in ASKED.items():
        times = []
        for _ in range(queries):
            text = f"word{next(numbers)} word7 word30"
            body = {"k": 48, **change, "text": change.get("text", "{}").format(text)}
            times.append(timed(client, body)[0])
        row(name, times)
    times = []
    body = {"k": 48, "text": "word1 word7 word30"}
    for _ in range(12):
        cursor = timed(client, body)[1]["cursor"]
        took, _ = timed(client, {"k": 48, "cursor": cursor})
        times.append(took)
    row("the second page", times)


def row(name: str, times: list[float]) -> None:
    p50, p95 = np.percentile(times[1:], [50, 95])
    print(f"| {name} | {times[0]:.0f} | {p50:.0f} | {p95:.0f} |", flush=True)


def timed(client: httpx2.Client, body: dict[str, Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = client.post("/v1/search", json=body)
    took = time.perf_counter() - start
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert len(found["hits"]) == body["k"]
    return 1000 * took, found


def crowd(client: httpx2.Client, process: psutil.Process, seconds: float) -> None:
    """Fifty clients that ask again as soon as they are answered: two in five search."""
    statuses: Counter[int] = Counter()
    taken: dict[str, list[float]] = {"search": [], "embeddings": []}
    before = process.memory_info().rss
    end = time.monotonic() + seconds

    def one(number: int) -> None:
        kind = "search" if number % 5 < 2 else "embeddings"
        for turn in count():
            if time.monotonic() > end:
                return
            words = f"word{number} word{turn}"
            body = {"text": words} if kind == "search" else {"input": words}
            start = time.perf_counter()
            status = client.post(f"/v1/{kind}", json=body).status_code
            statuses[status] += 1
            if status == 200:
                taken[kind].append(1000 * (time.perf_counter() - start))

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(one, range(CLIENTS)))
    for kind, times in taken.items():
        p50, p99 = np.percentile(times, [50, 99])
        print(f"{CLIENTS} clients, {seconds:g} s: {kind} {len(times) / seconds:.1f} a second,"
              f" p50 {p50:.0f} ms, p99 {p99:.0f} ms")  # fmt: skip
    grown = process.memory_info().rss - before
    print(f"statuses {dict(statuses)}; memory grew by {grown / 2**20:.0f} MB"
          f" of {process.memory_info().rss / 2**20:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
