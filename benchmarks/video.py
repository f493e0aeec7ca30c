"""Frames of clips: `read_clip` beside PyAV in one pass, PyAV with a seek a frame, and decord.

Clips of H.264 are written first: moving gradients under moving noise, so that motion costs the
decoder what it does. The methods take turns in an order drawn anew each round, so that other work
on the machine falls on all of them; each figure is a median. All give the same frames, which is
asserted.

Usage: python benchmarks/video.py FOLDER [ROUNDS]; the clips stay in the folder, some 700 MB.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import av
import numpy as np
import numpy.typing as npt

from unite.media.video import FramePolicy, frame_count, read_clip, sample_indices
from unite.types import Clip

Bytes = npt.NDArray[np.uint8]
LENGTHS = (2, 5, 10, 30, 60, 120, 300, 600)
NEAR = 4.0
"""Mean difference of a pixel to decord's, which converts colours by another path."""


@dataclass(frozen=True)
class Shape:
    """One way to code a clip; `bframes` as x264 takes it."""

    width: int
    height: int
    rate: int
    gop: int
    bframes: int
    seconds: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.width}×{self.height}, keys {self.gop} apart" + (
            "" if self.bframes else ", no B-frames"
        )


SHAPES = (
    Shape(640, 360, 30, 250, 3, LENGTHS),
    Shape(640, 360, 30, 30, 3, LENGTHS),
    Shape(640, 360, 30, 250, 0, (2, 10, 60, 600)),
    Shape(1920, 1080, 24, 250, 3, (2, 5, 10)),
)


def make(folder: Path, shape: Shape, seconds: int) -> Path:
    """Write a clip, unless it is there."""
    name = f"{shape.height}_{shape.gop}_{shape.bframes}_{seconds}.mp4"
    path, partial = folder / name, folder / f"partial_{name}"
    if path.exists():
        return path
    options = {"preset": "veryfast", "x264-params": f"bframes={shape.bframes}:scenecut=0"}
    with av.open(str(partial), "w") as file:
        stream = file.add_stream("libx264", rate=shape.rate, options=options)
        stream.width, stream.height, stream.gop_size = shape.width, shape.height, shape.gop
        stream.pix_fmt = "yuv420p"
        draw = Drawing(shape)
        for number in range(seconds * shape.rate):
            frame = av.VideoFrame.from_ndarray(draw(number), format="yuv420p")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return partial.replace(path)


class Drawing:
    """Frames in which everything moves, as the planes of yuv420p."""

    def __init__(self, shape: Shape) -> None:
        self.height, self.width = shape.height, shape.width
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (64, 64)).astype(np.uint8)
        from PIL import Image

        side = (2 * self.width, 2 * self.height)
        self.field = np.asarray(Image.fromarray(small).resize(side, Image.Resampling.BICUBIC)) // 2
        self.grain = rng.integers(0, 18, (2 * self.height, 2 * self.width)).astype(np.uint8)

    def __call__(self, number: int) -> Bytes:
        luma = self._window(self.field, 3 * number, 2 * number) + self._window(
            self.grain, 97 * number, 61 * number
        )
        quarter = luma[::2, ::2]
        planes = [luma, quarter, 255 - quarter]
        return np.concatenate([plane.reshape(-1, self.width) for plane in planes])

    def _window(self, field: Bytes, right: int, down: int) -> Bytes:
        top, left = down % self.height, right % self.width
        return field[top : top + self.height, left : left + self.width]


def _wanted(total: int, rate: float) -> tuple[int, ...]:
    return sample_indices(total, frame_count(total, rate, FramePolicy()))


def sequential(path: str) -> tuple[tuple[int, ...], Bytes]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        wanted = _wanted(stream.frames, float(stream.average_rate))
        found, left = [], set(wanted)
        for number, frame in enumerate(container.decode(stream)):
            if number in left:
                found.append(frame.to_ndarray(format="rgb24"))
            if number == wanted[-1]:
                break
    return wanted, np.stack(found)


def seeking(path: str) -> tuple[tuple[int, ...], Bytes]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate)
        wanted, found = _wanted(stream.frames, rate), []
        for number in wanted:
            stamp = round(number / rate / stream.time_base)
            container.seek(stamp, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts >= stamp)
            found.append(frame.to_ndarray(format="rgb24"))
    return wanted, np.stack(found)


def by_decord(path: str) -> tuple[tuple[int, ...], Bytes]:
    import decord

    reader = decord.VideoReader(path)
    wanted = _wanted(len(reader), reader.get_avg_fps())
    return wanted, reader.get_batch(list(wanted)).asnumpy()


def ours(path: str) -> tuple[tuple[int, ...], Bytes]:
    clip = read_clip(Clip(path), FramePolicy())
    return clip.indices, clip.frames_THWC


Method = Callable[[str], tuple[tuple[int, ...], Bytes]]
METHODS: dict[str, Method] = {
    "PyAV, one pass": sequential,
    "PyAV, seeks": seeking,
    "decord": by_decord,
    "ours": ours,
}


def _check(path: str, methods: dict[str, Method]) -> None:
    indices, pixels = ours(path)
    for name, method in methods.items():
        other, theirs = method(path)
        assert other == indices, (path, name)
        if name == "decord":
            difference = np.abs(theirs.astype(int) - pixels).mean()
            assert difference < NEAR, (path, difference)
        else:
            np.testing.assert_array_equal(theirs, pixels, err_msg=f"{path} {name}")


def _time(path: str, methods: dict[str, Method], rounds: int) -> dict[str, tuple[float, float]]:
    """Medians of milliseconds, and of milliseconds of CPU on all cores."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for name in rng.permutation(list(methods)):
            wall, cpu = time.perf_counter(), time.process_time()
            methods[name](path)
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (median(wall for wall, _ in rows) * 1e3, median(cpu for _, cpu in rows) * 1e3)
        for name, rows in taken.items()
    }


def _repeat(name: str, path: str, times: int) -> float:
    """Runs in a worker: seconds that so many calls take."""
    METHODS[name](path)
    begin = time.perf_counter()
    for _ in range(times):
        METHODS[name](path)
    return time.perf_counter() - begin


def _side_by_side(path: str, names: list[str], rounds: int) -> dict[str, float]:
    """Clips a second of as many workers as there are cores, all at work on one clip."""
    workers, times = os.cpu_count() or 1, 3
    rates: dict[str, list[float]] = {name: [] for name in names}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for _ in range(rounds):
            for name in names:
                done = [pool.submit(_repeat, name, path, times) for _ in range(workers)]
                rates[name].append(sum(times / future.result() for future in done))
    return {name: median(found) for name, found in rates.items()}


def main() -> None:
    """Print a row for each clip."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    folder.mkdir(parents=True, exist_ok=True)
    methods = dict(METHODS)
    try:
        import decord  # noqa: F401
    except ImportError:
        print("decord cannot be imported here and is left out.")
        del methods["decord"]
    print("Milliseconds (and of CPU, all cores):\n")
    print(f"| clip | seconds | {' | '.join(methods)} | ours against the fastest |")
    print("|---|---" + "|---" * len(methods) + "|---|")
    for shape in SHAPES:
        for seconds in shape.seconds:
            path = str(make(folder, shape, seconds))
            _check(path, methods)
            figures = _time(path, methods, rounds)
            fastest = min(wall for name, (wall, _) in figures.items() if name != "ours")
            cells = " | ".join(f"{wall:.0f} ({cpu:.0f})" for wall, cpu in figures.values())
            ratio = fastest / figures["ours"][0]
            print(f"| {shape.name} | {seconds} | {cells} | {ratio:.2f}× |", flush=True)
    print("\nClips a second, a worker on each core:\n")
    print(f"| clip | seconds | {' | '.join(methods)} | ours against the fastest |")
    print("|---|---" + "|---" * len(methods) + "|---|")
    for shape in SHAPES:
        for seconds in (10, 60):
            if seconds not in shape.seconds:
                continue
            path = str(make(folder, shape, seconds))
            rates = _side_by_side(path, list(methods), rounds)
            best = max(rate for name, rate in rates.items() if name != "ours")
            cells = " | ".join(f"{rate:.1f}" for rate in rates.values())
            print(
                f"| {shape.name} | {seconds} | {cells} | {rates['ours'] / best:.2f}× |", flush=True
            )


if __name__ == "__main__":
    main()
