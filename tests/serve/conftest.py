from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from unite.embedder import Embedder
from unite.library.ingest import ingest
from unite.library.library import Library
from unite.model.checkpoint import Model
from unite.serve.app import create_app

from .running import Server, running

NOTES = ["a red boat near the lighthouse", "the sea at night"]


def data_uri(path: Path, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


@pytest.fixture(scope="session")
def encoder(tiny_model: Model) -> Iterator[Embedder]:
    with Embedder(tiny_model) as encoder:
        yield encoder


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, encoder: Embedder, media: Path) -> Library:
    """Three pictures, a clip, two texts."""
    folder = tmp_path_factory.mktemp("served")
    notes = [folder / f"{number}.md" for number in range(len(NOTES))]
    for file, note in zip(notes, NOTES, strict=True):
        file.write_text(note)
    library = Library.create(
        folder / "lib", model_id=encoder.model_id, model="tiny", dim=encoder.dim
    )
    files = [*sorted(media.glob("p*.png")), media / "clip.mp4", *notes]
    assert not ingest(library, files, encoder).failed
    return library


@pytest.fixture(scope="session")
def server(library: Library, encoder: Embedder) -> Iterator[Server]:
    with running(create_app(library, encoder)) as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client
