from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.media import write_clip

from unite.library.ingest import Outcome, ingest
from unite.library.library import Library
from unite.library.segments import Segmenting

from .fakes import DIM, FakeEncoder


def picture(path: Path, color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path)
    return path


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def new_library(path: Path, **facts: object) -> Library:
    """A library that leaves its clips whole."""
    whole = Segmenting(how="whole")
    given = {"model_id": "id-of-fake", "model": "fake", "dim": DIM, "segmenting": whole, **facts}
    return Library.create(path, **given)  # type: ignore[arg-type]


def contents_of(library: Library) -> dict[str, tuple[str, str, bytes]]:
    """All that a library holds, times aside: modality, digest and vector by id."""
    ids = [record.id for record in library.store.records()]
    return {
        row.record.id: (row.record.modality, row.record.digest, row.vector.tobytes())
        for row in library.store.get(ids)
    }


def counts(outcome: Outcome) -> dict[str, int]:
    """The counts that are not zero."""
    verbs = ("added", "changed", "kept", "moved", "removed", "skipped", "embedded")
    found = {verb: getattr(outcome, verb) for verb in verbs}
    found["failed"] = len(outcome.failed)
    return {verb: count for verb, count in found.items() if count}


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two pictures, a clip, a text of two passages, and something unsupported."""
    folder = tmp_path / "media"
    picture(folder / "a.png", "red")
    picture(folder / "sub" / "b.jpg", "blue")
    write_clip(folder / "sub" / "clip.mp4")
    write(folder / "notes.md", "p" * 700 + "\n\n" + "q" * 700)
    write(folder / "table.csv", "1,2")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return new_library(tmp_path / "lib")


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


Run = Callable[..., dict[str, int]]


@pytest.fixture
def run(library: Library, encoder: FakeEncoder, media: Path) -> Run:
    """Index the media folder, or other paths, and give the counts."""

    def go(*paths: Path) -> dict[str, int]:
        encoder.seen.clear()
        return counts(ingest(library, paths or [media], encoder))

    return go
