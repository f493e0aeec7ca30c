"""Real media and tables for the readers: pictures by Pillow, a clip by PyAV, tables by PyArrow."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unite.data.records import BadRow
from unite.data.sources import Source, read_source
from unite.types import Pair

CLIP = Path(__file__).parents[2] / "data" / "golden_a" / "media" / "clip_2s_320x240_24fps.mp4"

Read = Callable[..., list[Pair | BadRow]]


def picture(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(file, "PNG")
    return file.getvalue()


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def shard(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def good(found: Iterable[Pair | BadRow]) -> list[Pair]:
    return [row for row in found if isinstance(row, Pair)]


def bad(found: Iterable[Pair | BadRow]) -> list[BadRow]:
    return [row for row in found if isinstance(row, BadRow)]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """All rows of a source: ``read(path, kind=…)``."""

    def reader(path: Path, **options: Any) -> list[Pair | BadRow]:
        source = Source(path=path, **options)
        return list(read_source(source, "named", tmp_path / "extracted"))

    return reader
