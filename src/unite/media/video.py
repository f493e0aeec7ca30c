"""Clips: the frames that the policy selects, decoded as cheaply as can be.

Legend: T frames selected, F frames of the clip, H rows, W columns; all pixels 8-bit RGB.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite.errors import MediaError
from unite.media.container import decoded, frame_rate, opened, turn
from unite.media.sampling import FRAME_FACTOR, FramePolicy, frame_count, sample_indices
from unite.media.source import Limits, name_of
from unite.media.timeline import Timeline, read_timeline, surviving_timeline
from unite.types import Clip

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

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

SEEK_COST = 12
"""A seek is worth it if it spares the decoding of more frames than this."""

_NEVER, _ALWAYS = math.inf, -math.inf  # costs of a seek that force one way or the other
_SLACK = 1e-3  # seconds; times written down in milliseconds still name their frame
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
    for timeline, cost in _attempts(clip, limits):
        wanted = _select(clip, timeline, policy, limits)
        found = _fetch(clip.path, timeline, sorted(set(wanted)), limits, cost, shrink)
        if len(found) == len(set(wanted)):
            return _stack(wanted, found, timeline)
    raise MediaError(f"{name_of(clip.path)} cannot be decoded.", "Is it whole, and a video?")


def _attempts(clip: Clip, limits: Limits) -> Iterator[tuple[Timeline, float]]:
    """Ways to read a clip, from the cheapest to the one that no damage defeats."""
    yield read_timeline(clip.path, limits), SEEK_COST
    exact = read_timeline(clip.path, limits, exact=True)
    yield exact, _NEVER
    yield surviving_timeline(clip.path, limits, exact.declared), _NEVER


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


def _stack(wanted: Sequence[int], found: dict[int, Bytes], timeline: Timeline) -> Frames:
    notes = []
    if timeline.total < timeline.declared:
        notes.append(f"cut short or damaged: {timeline.total} of {timeline.declared} frames")
    if len(found) == 1:
        notes.append("one frame only, seen twice")
    frames_THWC = np.concatenate([found[index] for index in wanted])
    return Frames(frames_THWC, tuple(wanted), "; ".join(notes) or None)


def _fetch(
    reference: str,
    timeline: Timeline,
    wanted: Sequence[int],
    limits: Limits,
    cost: float,
    shrink: Shrink,
) -> dict[int, Bytes]:
    """Decode the wanted frames, up to the first that is not to be had.

    Args:
        reference: The clip.
        timeline: Its timeline.
        wanted: Ascending numbers of frames.
        limits: The largest frame.
        cost: A seek must spare the decoding of more frames than this.
        shrink: Applied to each frame.
    """
    found: dict[int, Bytes] = {}
    with opened(reference, limits) as (container, stream):
        walk, here, size = _stamped(container, stream, timeline), 0, None
        for number in wanted:
            key = timeline.key_before(number)
            if timeline.timed and key - here > cost:
                if not _seek(container, stream, int(timeline.stamps_F[key])):
                    return found
                walk = _stamped(container, stream, timeline)
            frame, walk = _advance(walk, int(timeline.stamps_F[number]))
            if frame is None:
                return found
            size = size or (frame.width, frame.height)
            limits.check_size(name_of(reference), *size)
            found[number] = shrink(_upright(frame, size)[np.newaxis])
            here = number + 1
    return found


def _stamped(
    container: InputContainer, stream: VideoStream, timeline: Timeline
) -> Iterator[tuple[int, Any]]:
    """Frames with their stamps; counted from the start where the file has no times."""
    frames = decoded(container, stream)
    if not timeline.timed:
        return enumerate(frames)
    return ((frame.pts, frame) for frame in frames if frame.pts is not None)


def _advance(
    walk: Iterator[tuple[int, Any]], stamp: int
) -> tuple[Any | None, Iterator[tuple[int, Any]]]:
    """Go on to the frame of a stamp; None, with nothing lost, if the walk has passed it."""
    for at, frame in walk:
        if at == stamp:
            return frame, walk
        if at > stamp:
            return None, itertools.chain([(at, frame)], walk)
    return None, walk


def _seek(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    import av

    try:
        container.seek(stamp, stream=stream, backward=True)
    except (av.FFmpegError, OverflowError):
        return False
    return True


def _upright(frame: Any, size: tuple[int, int]) -> Bytes:
    """Pixels as a player shows them; a clip may change its size, its array cannot."""
    width, height = size
    if (frame.width, frame.height) != size:
        frame = frame.reformat(width=width, height=height, format="rgb24")
    pixels_HWC: Bytes = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels_HWC, turn(frame) // 90))
