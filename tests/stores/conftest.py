from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from unite.stores.exact import ExactStore
from unite.stores.lance import LanceStore
from unite.stores.protocol import Record, Row, Store
from unite.stores.qdrant import QdrantStore

DIM = 16
LABELS = ("image", "video", "text", "text+image")
NAMES = (
    "/m/a%b.png", "/m/a_b.png", "/m/axb.png", "/m/a\\b.png", "/m/o'neil.png", "/m/ä/ü\n.png",
    "/m/[x].jpg", "/m/sub/c.jpg", "/m/sub/deep/c.jpg", "/M/C.JPG", "/m/x;--.md", "/m/日本.mp4",
)  # fmt: skip


def record(name: str, **other: object) -> Record:
    facts = Record(
        id=name, path=name, source=name, digest=f"d-{name}", modality="image", size=3, mtime_ns=7
    )
    return replace(facts, **other)  # type: ignore[arg-type]


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


def rows(count: int = 60, seed: int = 0) -> list[Row]:
    """Rows of every modality, with awkward paths, a third of them with equal vectors."""
    vectors = unit(count, DIM, seed=seed)
    vectors[::3] = vectors[0]
    return [
        Row(
            record(f"r{n:03}", path=NAMES[n % len(NAMES)], modality=LABELS[n % len(LABELS)]),
            vectors[n],
        )
        for n in range(count)
    ]


def in_memory(dim: int = DIM) -> QdrantStore:
    """Qdrant's local mode, which ignores indexes of payloads and says so each time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
        return QdrantStore.create(QdrantClient(":memory:"), "records", dim)


@pytest.fixture(params=["exact", "lance", "lance-engine", "qdrant"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every engine; the third is forced to let LanceDB itself search."""
    if request.param == "exact":
        return ExactStore(DIM)
    if request.param == "qdrant":
        return in_memory()
    limit = 0 if request.param == "lance-engine" else 200_000
    return LanceStore.create(str(tmp_path / "db"), DIM, exact_limit=limit)
