"""What it costs to find the cuts of a clip, by our reader and by PySceneDetect's own.

    python benchmarks/scenes.py

Makes a minute of 1280x720 at 30 frames a second whose cuts are known, once with key frames at the
cuts and once with one every second, and times each way in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image

WAYS = ("ours", "pyav", "opencv")
SIZE, RATE, SECONDS = (1280, 720), 30, 60


def make(path: Path, seed: int, gop: int | None) -> list[float]:
    """A clip of slow pans over pictures; gives the times of its cuts."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    fixed = {} if gop is None else {"g": str(gop), "sc_threshold": "0"}
    cuts = [0.0]
    while cuts[-1] < SECONDS:
        cuts.append(cuts[-1] + rng.uniform(2.5, 8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", **fixed})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        shot, pixels, pan = -1, None, 0.0
        for number in range(SECONDS * RATE):
            at = number / RATE
            if at >= cuts[shot + 1]:
                shot, pan = shot + 1, rng.uniform(-60, 60)
                coarse = rng.integers(0, 255, (20, 40, 3), np.uint8)
                pixels = np.asarray(Image.fromarray(coarse).resize((2 * width, height)))
            left = int(np.clip(width / 2 + pan * (at - cuts[shot]), 0, width))
            view = np.ascontiguousarray(pixels[:, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "rgb24")))
        container.mux(stream.encode())
    return [cut for cut in cuts[1:] if cut < SECONDS]


def find(way: str, path: str) -> list[float]:
    if way == "ours":
        from unite.library.scenes import find_cuts
        from unite.media.source import Limits

        return find_cuts(path, Limits(), seconds=600).times
    import cv2
    from scenedetect import SceneManager, open_video
    from scenedetect.detectors import AdaptiveDetector

    cv2.setNumThreads(1)
    manager = SceneManager()
    manager.add_detector(AdaptiveDetector(min_scene_len=0))
    manager.detect_scenes(open_video(path, backend=way))
    return [start.seconds for start, _ in manager.get_scene_list()[1:]]


def main() -> None:
    if len(sys.argv) == 3:
        start = time.process_time()
        found = find(*sys.argv[1:])
        print(f"{time.process_time() - start:.2f}", *(f"{cut:.3f}" for cut in found))
        return
    with TemporaryDirectory() as folder:
        for name, gop in (("key frames at cuts", None), ("a key frame a second", RATE)):
            path = Path(folder) / f"{gop}.mp4"
            true = make(path, gop or 0, gop)
            for way in WAYS:
                said = subprocess.check_output([sys.executable, __file__, way, path], text=True)
                cpu, *found = map(float, said.split())
                near = [min((abs(cut - one) for cut in found), default=99) for one in true]
                hits = sum(gap < 0.3 for gap in near)
                print(f"{name}, {way}: {cpu} s of CPU, {hits} of {len(true)} cuts, ", end="")
                print(f"{len(found) - hits} others, off by at most {max(near):.2f} s")


if __name__ == "__main__":
    main()
