"""A real server in a thread of the test, and encoders that a test can hold up."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import httpx2
import numpy as np
import uvicorn
from fastapi import FastAPI

from unite.serve.app import create_app
from unite.serve.listening import listen
from unite.serve.service import Service
from unite.serve.settings import Settings
from unite.types import Embedding, Item, Modality

DIM = 4


def vector_of(text: str) -> np.ndarray:
    raw = np.random.default_rng(len(text)).normal(size=DIM).astype(np.float32)
    return raw / np.linalg.norm(raw)


class Gated:
    """Texts become vectors by their length, once the gate is open; `bad` fails."""

    dim = DIM
    name = "gated"
    model_id = "id-of-gated"
    dtype = "float32"

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate, self.media_gate, self.begun = Event(), Event(), Event()
        self.batches: list[int] = []
        if is_open:
            self.gate.set()
            self.media_gate.set()

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        items = list(items)
        self.batches.append(len(items))
        self.begun.set()
        only_text = all(item.modality == Modality.TEXT for item in items)
        assert (self.gate if only_text else self.media_gate).wait(200)
        for item in items:
            if item.text == "bad":
                yield Embedding(None, error="It is bad.")
            elif item.text == "boom":
                raise RuntimeError("secret of the server")
            else:
                yield Embedding(vector_of(item.text or ""), tokens=len(item.text or ""))


@dataclass
class Server:
    url: str
    port: int
    service: Service
    uvicorn: uvicorn.Server
    thread: Thread

    def client(self, **options: object) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=200, **options)  # type: ignore[arg-type]


@contextmanager
def running(app: FastAPI) -> Iterator[Server]:
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=20)
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        started = Event()
        startup = server.startup

        async def tell(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            started.set()

        server.startup = tell  # type: ignore[method-assign]
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert started.wait(200)
        try:
            yield Server(f"http://127.0.0.1:{port}", port, app.state.service, server, thread)
        finally:
            server.should_exit = True
            thread.join(200)
            assert not thread.is_alive(), "the server does not end"


@contextmanager
def gated(*, is_open: bool = True, **settings: object) -> Iterator[tuple[Server, Gated]]:
    """A server of embeddings only; the gate is open while it warms up, and at the end."""
    encoder = Gated()
    with running(create_app(None, encoder, Settings(**settings))) as server:  # type: ignore[arg-type]
        with server.client() as client:
            while client.get("/readyz").status_code != 200:
                pass
        if not is_open:
            encoder.gate.clear()
            encoder.media_gate.clear()
        encoder.batches.clear()
        encoder.begun.clear()
        try:
            yield server, encoder
        finally:
            encoder.gate.set()
            encoder.media_gate.set()
