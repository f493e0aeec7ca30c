"""Real files, written by Pillow and PyAV: every medium of these tests has been on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

GOLDEN = Path(__file__).parents[1] / "data" / "golden_a"
HEIC = Path(__file__).parents[1] / "data" / "heic"
TICKS = Fraction(1, 1000)

Bytes = npt.NDArray[np.uint8]


def golden_cases(key: str) -> list[dict[str, Any]]:
    """The golden cases that have pixel values of one kind."""
    cases = json.loads((GOLDEN / "cases.json").read_text())["cases"]
    return [case for case in cases if case.get(key)]


def noise(height: int, width: int, seed: int = 0) -> Bytes:
    """Smooth coloured noise, so that codecs keep something and filters differ."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def save(path: Path, array: npt.NDArray[Any], **options: Any) -> str:
    Image.fromarray(array).save(path, **options)
    return str(path)


def write_clip(
    path: Path,
    count: int = 40,
    size: tuple[int, int] = (64, 48),
    *,
    rate: int = 10,
    codec: str = "libx264",
    gop: int = 12,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    container: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> str:
    """A clip of (width, height) whose every frame is its own; `times` are milliseconds."""
    width, height = size
    with av.open(str(path), "w", format=container, options=container_options or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.gop_size = width, height, gop
        stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        if times is not None:
            stream.codec_context.time_base = TICKS
        if rotation:
            stream.set_display_rotation(rotation)
        picture = noise(height, width)
        for number in range(count):
            moved = np.ascontiguousarray(np.roll(picture, 2 * number, axis=1))
            frame = av.VideoFrame.from_ndarray(moved, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], TICKS
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return str(path)


def decode_all(path: str) -> list[Bytes]:
    """Every frame, by the plainest means, to compare with."""
    with av.open(path) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 frames at 10 a second, 64×48, a key frame each 12, with B-frames."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
