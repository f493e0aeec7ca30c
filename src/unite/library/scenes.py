"""Where a clip's picture changes, found by PySceneDetect on a few small frames a second.

The frames come from our own reader, which opens files with care and keeps the times that a hit is
played from. Frames that no other depends on are not decoded: about 2.1 s of CPU a minute of
1280×720 instead of 4.1 s or more by PySceneDetect's own readers, and the same cuts to 0.2 s
(benchmarks/scenes.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from unite.errors import LibraryError
from unite.media.container import decoded, opened
from unite.media.source import Limits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

RATE = 8.0
"""Frames a second that are compared."""

WIDTH = 160
"""Pixels; cuts show at any size."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Times of cuts in seconds, and how far the clip was looked at; None: to its end."""

    times: list[float]
    seen: float | None = None


def can_find_cuts() -> bool:
    """Whether PySceneDetect is installed."""
    return find_spec("scenedetect") is not None


def check_can_find_cuts() -> None:
    """Refuse to begin what could not be done.

    Raises:
        LibraryError: PySceneDetect is not installed.
    """
    if not can_find_cuts():
        raise LibraryError(
            "This library cuts clips into scenes, for which PySceneDetect is missing.",
            "Install it: pip install 'unite-embed[scenes]'.",
        )


def find_cuts(path: str, limits: Limits, *, seconds: float) -> Cuts:
    """Find where the picture changes.

    Args:
        path: The clip.
        limits: The largest clip.
        seconds: The search ends after so long; what was found till then is given.

    Raises:
        MediaError: It cannot be opened.
    """
    import cv2
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    cv2.setNumThreads(1)  # clips are looked at side by side
    detector = AdaptiveDetector(min_scene_len=0)
    end = time.monotonic() + seconds
    times: list[float] = []
    cuts: list[float] = []
    for at, frame in _frames(path, limits):
        times.append(at)
        number = FrameTimecode(len(times) - 1, RATE)  # frames may be unevenly spread: ours to map
        found = detector.process_frame(number, _small(frame))
        cuts.extend(times[cut.frame_num] for cut in found)
        if time.monotonic() > end:
            return Cuts(cuts, at)
    return Cuts(cuts)


def _frames(path: str, limits: Limits) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their seconds from the first on, at most so many a second."""
    with opened(path, limits) as (container, stream):
        stream.codec_context.skip_frame = "NONREF"
        first: float | None = None
        due = 0.0
        for frame in decoded(container, stream):
            if frame.time is None:  # no times in the file: frames left out cannot be counted
                return
            first = frame.time if first is None else first
            at = frame.time - first
            if at >= due:
                yield at, frame
                due = max(due + 1 / RATE, at + 0.5 / RATE)


def _small(frame: VideoFrame) -> Any:
    height = max(2, round(WIDTH * frame.height / frame.width / 2) * 2)
    return frame.reformat(width=WIDTH, height=height, format="bgr24").to_ndarray()
