"""Many clients at once: no error but 429, everybody his own vector, memory flat."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest

from unite.embedder import Embedder
from unite.types import Item

from .conftest import data_uri
from .running import Server

CLIENTS = 50


def load(server: Server, encoder: Embedder, picture: Path, seconds: float) -> list[float]:
    """Latencies of all requests that were not turned away."""
    texts = [f"boat number {number}" for number in range(CLIENTS)]
    wanted = [result.vector for result in encoder.embed(map(Item, texts))]
    sent = data_uri(picture)

    def one(number: int) -> list[float]:
        taken: list[float] = []
        while time.monotonic() < end:
            start = time.perf_counter()
            answer = ask(number)
            assert answer.status_code in (200, 429), answer.text
            if answer.status_code == 200:
                taken.append(time.perf_counter() - start)
                check(answer, number)
        return taken

    def ask(number: int) -> httpx2.Response:
        if number % 10 == 0:
            return client.post("/v1/search", json={"image": sent, "text": texts[number], "k": 3})
        if number % 10 == 1:
            return client.get("/v1/library")
        return client.post("/v1/embeddings", json={"input": texts[number]})

    def check(answer: httpx2.Response, number: int) -> None:
        if number % 10 > 1:
            vector = answer.json()["data"][0]["embedding"]
            np.testing.assert_allclose(vector, wanted[number], atol=1e-4)

    wires = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    with server.client(limits=wires) as client, ThreadPoolExecutor(CLIENTS) as threads:
        end = time.monotonic() + seconds
        return [seconds for taken in threads.map(one, range(CLIENTS)) for seconds in taken]


def test_fifty_clients_for_a_moment(server: Server, encoder: Embedder, media: Path) -> None:
    assert len(load(server, encoder, media / "p0.png", 3)) > CLIENTS


@pytest.mark.slow
def test_fifty_clients_for_a_minute(server: Server, encoder: Embedder, media: Path) -> None:
    me = psutil.Process()
    load(server, encoder, media / "p0.png", 10)
    before = me.memory_info().rss
    taken = load(server, encoder, media / "p0.png", 60)
    grown = me.memory_info().rss - before
    p50, p99 = np.percentile(taken, [50, 99]) * 1000
    print(f"{len(taken)} answers, p50 {p50:.0f} ms, p99 {p99:.0f} ms, grown {grown >> 20} MiB")
    assert grown < 60 << 20
