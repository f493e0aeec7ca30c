"""Clips: the frames that the policy selects, decoded as cheaply as can be.

Legend: T frames selected, F frames of the clip, H rows, W columns; all pixels 8-bit RGB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite.errors import MediaError
from unite.media.container import decoded, frame_rate, hasten, opened, turn
from unite.media.decoding import Reel, Way
from unite.media.sampling import FRAME_FACTOR, FramePolicy, frame_count, sample_indices
from unite.media.source import Limits, name_of
from unite.media.timeline import (
    Timeline,
    exact_timeline,
    index_timeline,
    packet_timeline,
    read_timeline,
    surviving_timeline,
)
from unite.types import Clip

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

__all__ = [
    "FRAME_FACTOR",
    "FramePolicy",
    "Frames",
    "Probe",
    "frame_count",
    "probe",
    "read_clip",
    "sample_indices",
]

Bytes = npt.NDArray[np.uint8]
Shrink = Callable[[Bytes], Bytes]

_SLACK = 1e-3  # seconds; times written down in milliseconds still name their frame
_OVERHANG = 1.0  # seconds; times that were rounded up are no mistake
_ROUNDING = 1e-6  # seconds; 1.1 + 0.1 is above 1.2, yet a clip that ends there ends there


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a clip: (T, H, W, 3) 8-bit RGB, their numbers, and a note for the reader."""

    frames_THWC: Bytes
    indices: tuple[int, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a container says of its video; the rotation is in degrees against the clock."""

    frames: int
    rate: float
    width: int
    height: int
    rotation: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.rate


def probe(reference: str, limits: Limits | None = None) -> Probe:
    """Read what a container says of its video; one frame is decoded for the rotation.

    Frames are counted by reading all packets only where the container does not tell.

    Raises:
        MediaError: It cannot be opened, or has no video.
    """
    limits = limits or Limits()
    with opened(reference, limits) as (container, stream):
        frame = next(decoded(container, stream), None)
        if frame is None:
            raise MediaError(
                f"{name_of(reference)} has no frame that can be decoded.", "Is it whole?"
            )
        rotation, width, height = turn(frame), stream.width, stream.height
        total, rate = stream.frames, frame_rate(stream)
    if total <= 0 or rate <= 0:
        timeline = read_timeline(reference, limits)
        total, rate = timeline.total, timeline.rate
    return Probe(total, rate, width, height, rotation)


def read_clip(
    clip: Clip,
    policy: FramePolicy,
    limits: Limits | None = None,
    *,
    shrink: Shrink | None = None,
) -> Frames:
    """Decode the frames that the policy selects, from one pass or by seeking as is cheaper.

    Both ways give the same bits. A file that breaks off, or some of whose frames are damaged,
    gives the frames that decode, spread anew, and a note.

    Args:
        clip: The file, with start and end where only a part is meant: the frames on screen
            from start up to, but not at, end.
        policy: Which frames.
        limits: The largest clip.
        shrink: Applied to each frame, as (1, H, W, 3), as soon as it is decoded, so that a long
            clip of large frames never lies whole in memory.

    Raises:
        MediaError: It cannot be opened or decoded, has no video, is beyond the limits, the part
            is not in it, or fewer frames decode than the policy asks for at least.
    """
    limits = limits or Limits()
    shrink = shrink or (lambda frames_THWC: frames_THWC)
    for reel, way in _attempts(clip.path, limits):
        wanted = _select(clip, reel.timeline, policy, limits)
        numbers = sorted(set(wanted))
        found = _fetch(name_of(clip.path), reel, numbers, way, limits, shrink)
        if len(found) == len(numbers):
            return _stack(clip, wanted, found, reel.timeline)
    raise MediaError(f"{name_of(clip.path)} cannot be decoded.", "Is it whole, and a video?")


def _attempts(reference: str, limits: Limits) -> Iterator[tuple[Reel, Way]]:
    """Ways to read a clip, from the cheapest to the one that no damage defeats."""
    with opened(reference, limits) as (container, stream):
        quick = index_timeline(container, stream)
        exact = quick or packet_timeline(name_of(reference), container, stream)
        if exact.timed:
            hasten(stream)
            yield Reel(container, stream, exact, fresh=quick is not None), Way.EAGER
    if quick:
        exact = exact_timeline(reference, limits)
    if exact.timed:
        with opened(reference, limits) as (container, stream):
            yield Reel(container, stream, exact), Way.PATIENT
    with opened(reference, limits) as (container, stream):
        yield Reel(container, stream, exact), Way.STRAIGHT
    survivors = surviving_timeline(reference, limits, exact.declared)
    with opened(reference, limits) as (container, stream):
        yield Reel(container, stream, survivors), Way.STRAIGHT


def _select(clip: Clip, timeline: Timeline, policy: FramePolicy, limits: Limits) -> tuple[int, ...]:
    """Numbers of the wanted frames; the last one repeated where the clip has only one."""
    if timeline.seconds > limits.max_seconds:
        raise MediaError(
            f"{name_of(clip.path)} lasts {timeline.seconds:.0f} s; "
            f"the limit is {limits.max_seconds:.0f} s.",
            "Cut it, or raise the limit if you trust the file.",
        )
    least = policy.min_frames if policy.nframes is None else FRAME_FACTOR
    if timeline.total < min(least, timeline.declared):
        raise MediaError(
            f"{name_of(clip.path)} breaks off: "
            f"{timeline.total} of {timeline.declared} frames are there.",
            "Is the file whole?",
        )
    first, total = _span(clip, timeline)
    count = frame_count(total, timeline.rate, policy)
    return tuple(first + index for index in sample_indices(total, count))


def _span(clip: Clip, timeline: Timeline) -> tuple[int, int]:
    """First frame and number of frames of the part that is meant."""
    if clip.start is None and clip.end is None:
        return 0, timeline.total
    start = 0.0 if clip.start is None else clip.start
    end = math.inf if clip.end is None else clip.end
    if not (0 <= start < end and start < timeline.seconds - _ROUNDING):
        raise MediaError(
            f"{name_of(clip.path)} lasts {timeline.seconds:.2f} s; "
            f"the part from {start:g} s to {end:g} s is not in it.",
            "Give start and end in seconds, the start first.",
        )
    times_F = timeline.times
    first = max(0, int(np.searchsorted(times_F, start + _SLACK, side="right")) - 1)
    beyond = int(np.searchsorted(times_F, end - _SLACK, side="left"))
    return first, max(beyond - first, 1)


def _stack(
    clip: Clip, wanted: Sequence[int], found: dict[int, Bytes], timeline: Timeline
) -> Frames:
    notes = []
    if clip.end is not None and clip.end > timeline.seconds + _OVERHANG:
        notes.append(f"the part ends at {clip.end:g} s, but the clip at {timeline.seconds:.1f} s")
    if timeline.total < timeline.declared:
        notes.append(f"cut short or damaged: {timeline.total} of {timeline.declared} frames")
    if len(found) == 1:
        notes.append("one frame only, seen twice")
    frames_THWC = np.concatenate([found[index] for index in wanted])
    return Frames(frames_THWC, tuple(wanted), "; ".join(notes) or None)


def _fetch(
    name: str, reel: Reel, wanted: Sequence[int], way: Way, limits: Limits, shrink: Shrink
) -> dict[int, Bytes]:
    """Pixels of the wanted frames, up to the first that is not to be had."""
    from av.video.reformatter import VideoReformatter

    found: dict[int, Bytes] = {}
    size, reformatter = None, VideoReformatter()
    for number, frame in reel.frames(wanted, way):
        size = size or (frame.width, frame.height)
        limits.check_size(name, *size)
        found[number] = shrink(_upright(frame, size, reformatter)[np.newaxis])
    return found


def _upright(frame: VideoFrame, size: tuple[int, int], reformatter: VideoReformatter) -> Bytes:
    """Pixels as a player shows them; a clip may change its size, its array cannot."""
    width, height = size
    colours = reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
    pixels_HWC: Any = colours.to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels_HWC, turn(frame) // 90))
