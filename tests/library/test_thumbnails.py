from __future__ import annotations

from pathlib import Path

import pytest

from unite.errors import MediaError
from unite.library.thumbnails import FRAMES, thumbnails
from unite.types import Clip

from .conftest import picture, write


def clip(path: Path, frames: int = 20) -> Path:
    import av
    import numpy as np

    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for n in range(frames):
            pixels = np.full((48, 64, 3), n * 12 % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_a_picture_is_one_thumbnail(tmp_path: Path) -> None:
    (found,) = thumbnails(str(picture(tmp_path / "a.png", "red")))
    assert found.size == (8, 6)


def test_a_clip_is_a_few_frames_in_order(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4")
    found = thumbnails(Clip(str(path)))
    assert len(found) == FRAMES
    assert {frame.size for frame in found} == {(64, 48)}
    light = [frame.convert("L").getpixel((30, 20)) for frame in found]
    assert light == sorted(light)


def test_what_cannot_be_opened_raises_what_sheets_expect(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        thumbnails(str(write(tmp_path / "a.png", "no picture")))
    with pytest.raises(MediaError):
        thumbnails(Clip(str(write(tmp_path / "a.mp4", "no clip"))))
