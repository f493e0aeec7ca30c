"""A model of ten lines: equal contents give equal vectors, a file that says broken is broken."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from unite.types import Embedding, Item

DIM = 12


def contents(item: Item) -> bytes:
    paths = [str(image) for image in item.images] + [clip.path for clip in item.videos]
    return (item.text or "").encode() + b"".join(Path(path).read_bytes() for path in paths)


class FakeEncoder:
    """Satisfies `Encoder`; remembers what it was asked to embed."""

    dim = DIM
    name = "fake"
    mixed_gallery, dtype = False, "float32"

    def __init__(self, model_id: str = "id-of-fake", delay: float = 0.0, ahead: int = 1) -> None:
        self.model_id = model_id
        self.delay = delay
        self.ahead = ahead
        self.seen: list[str] = []

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        window: list[Item] = []
        for item in items:
            window.append(item)
            if len(window) == self.ahead:
                yield from map(self._one, window)
                window = []
        yield from map(self._one, window)

    def _one(self, item: Item) -> Embedding:
        time.sleep(self.delay)
        self.seen.append(str(item.id))
        try:
            data = contents(item)
        except OSError as error:
            return Embedding(None, error=f"cannot be opened: {error.strerror}")
        if b"broken" in data:
            return Embedding(None, error="cannot be decoded")
        seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
        raw = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
        note = "cut short" if b"short" in data else None
        return Embedding(raw / np.linalg.norm(raw), note=note)


def hangs(path: str, *rest: object) -> None:
    """Stands for what is made of a file that its decoder never comes back from."""
    time.sleep(600)


def dies(path: str, *rest: object) -> None:
    """Stands for what is made of a file that kills its decoder."""
    os._exit(3)
