"""Small real files for command-line tests."""

from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_picture(path: Path, seed: int = 0) -> Path:
    values = np.random.default_rng(seed).integers(0, 255, (84, 84, 3), np.uint8)
    Image.fromarray(values).save(path)
    return path


def write_clip(path: Path, seed: int = 0, frames: int = 12) -> Path:
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 84
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            values = rng.integers(0, 255, (84, 84, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values, "rgb24")))
        container.mux(stream.encode())
    return path
