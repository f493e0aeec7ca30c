"""Clips: which frames are seen, and how they are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite.errors import MediaError
from unite.media.source import Limits, open_source
from unite.types import Clip

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FRAME_FACTOR = 2
"""Frames are counted in pairs, because the vision tower joins two into one patch."""

SEEK_COST = 24
"""A seek decodes from the last key frame; with usual distances that is about so many frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FramePolicy:
    """How many frames of a clip are seen; the defaults are those of the released weights.

    Attributes:
        fps: Frames taken for each second.
        min_frames: At least so many, if the clip has them.
        max_frames: At most so many.
        nframes: A fixed count instead.
    """

    fps: float = 1.0
    min_frames: int = 4
    max_frames: int = 12
    nframes: int | None = None


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a clip: (T, H, W, 3) 8-bit RGB, their numbers, and a note for the reader."""

    frames_THWC: npt.NDArray[np.uint8]
    indices: tuple[int, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a container says of its video."""

    frames: int
    rate: float
    width: int
    height: int
    rotation: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.rate


def frame_count(total: int, rate: float, policy: FramePolicy) -> int:
    """How many of a clip's frames are seen: an even number, at least two.

    Args:
        total: Frames of the clip.
        rate: Its frames a second.
        policy: The rule.
    """
    if policy.nframes is not None:
        wanted = round(policy.nframes / FRAME_FACTOR) * FRAME_FACTOR
    else:
        least = -(-policy.min_frames // FRAME_FACTOR) * FRAME_FACTOR
        most = policy.max_frames // FRAME_FACTOR * FRAME_FACTOR
        by_time = min(max(total / rate * policy.fps, least), most)
        wanted = round(by_time / FRAME_FACTOR) * FRAME_FACTOR
    return max(FRAME_FACTOR, min(wanted, total // FRAME_FACTOR * FRAME_FACTOR))


def sample_indices(total: int, count: int) -> tuple[int, ...]:
    """Frame numbers spread evenly from the first to the last frame."""
    return tuple(np.linspace(0, total - 1, count, dtype=np.float32).round().astype(int).tolist())


def probe(path: str, limits: Limits | None = None) -> Probe:
    """Read what a container says of its video, without decoding it.

    Raises:
        MediaError: It cannot be opened, or has no video.
    """
    with _Opened(path, limits or Limits()) as (container, stream):
        return _probe(path, container, stream)


def read_clip(clip: Clip, policy: FramePolicy, limits: Limits | None = None) -> Frames:
    """Decode the frames that the policy selects, from one pass or by seeking as is cheaper.

    Args:
        clip: The file, with start and end where only a part is meant.
        policy: Which frames.
        limits: The largest clip.

    Raises:
        MediaError: It cannot be opened or decoded, has no video, is longer than the limits,
            or ends before two frames are decoded.
    """
    limits = limits or Limits()
    with _Opened(clip.path, limits) as (container, stream):
        facts = _probe(clip.path, container, stream)
        limits.check_size(clip.path, facts.width, facts.height)
        if facts.seconds > limits.max_seconds:
            raise MediaError(
                f"{clip.path} lasts {facts.seconds:.0f} s; the limit is {limits.max_seconds:.0f} s."
            )
        first, total = _span(clip, facts)
        wanted = [first + i for i in sample_indices(total, frame_count(total, facts.rate, policy))]
        far = max(wanted) > SEEK_COST * len(set(wanted))
        found = _by_seeking(container, stream, facts, wanted) if far else {}
    if len(found) < len(set(wanted)):
        with _Opened(clip.path, limits) as (container, stream):
            found = _in_one_pass(container, stream, wanted)
    return _assemble(clip, wanted, found, facts)


def _span(clip: Clip, facts: Probe) -> tuple[int, int]:
    """First frame and number of frames of the part that is meant."""
    first = round((clip.start or 0.0) * facts.rate)
    last = facts.frames if clip.end is None else min(facts.frames, round(clip.end * facts.rate))
    if first >= last:
        raise MediaError(
            f"{clip.path} lasts {facts.seconds:.2f} s; "
            f"the part from {clip.start or 0.0} s to {clip.end} s is not in it."
        )
    return first, last - first


def _assemble(clip: Clip, wanted: Sequence[int], found: dict[int, Any], facts: Probe) -> Frames:
    """Stack the frames; a clip that breaks off gives what it has, spread anew."""
    note = None
    if missing := [index for index in wanted if index not in found]:
        there = sorted(found)
        if len(there) < FRAME_FACTOR:
            raise MediaError(
                f"{clip.path} breaks off: {len(there)} of {len(wanted)} frames could be decoded.",
                "Is the file whole?",
            )
        note = f"cut short: {len(missing)} of {len(wanted)} frames are missing"
        wanted = there[: len(there) // FRAME_FACTOR * FRAME_FACTOR]
    elif len(set(wanted)) < len(wanted):
        note = "one frame only, seen twice"
    frames = np.stack([found[index] for index in wanted])
    turns = facts.rotation // 90 % 4
    if turns:
        frames = np.ascontiguousarray(np.rot90(frames, turns, axes=(1, 2)))
    return Frames(frames, tuple(wanted), note)


def _in_one_pass(
    container: InputContainer, stream: VideoStream, wanted: Sequence[int]
) -> dict[int, Any]:
    """Decode from the start to the last wanted frame; numbers count presentation order."""
    targets, found = set(wanted), {}
    for index, frame in enumerate(_decoded(container, stream)):
        if index in targets:
            found[index] = frame.to_ndarray(format="rgb24")
        if index >= max(targets):
            break
    return found


def _by_seeking(
    container: InputContainer, stream: VideoStream, facts: Probe, wanted: Sequence[int]
) -> dict[int, Any]:
    """Jump to the key frame before each wanted frame; for constant frame rates only.

    A frame counts as found only if its time is exactly that of its number, so a clip of
    variable rate falls back to the one pass.
    """
    import av

    found: dict[int, Any] = {}
    if stream.time_base is None or stream.average_rate is None:
        return found
    start, step = stream.start_time or 0, 1 / (stream.average_rate * stream.time_base)
    for target in sorted(set(wanted)):
        time = start + round(target * step)
        try:
            container.seek(time, stream=stream, backward=True)
            for frame in _decoded(container, stream):
                if frame.pts is None or frame.pts > time:
                    return {}
                if frame.pts == time:
                    found[target] = frame.to_ndarray(format="rgb24")
                    break
        except (av.FFmpegError, OSError):
            return {}
    return found


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[Any]:
    """Frames until the end, or until the stream breaks off."""
    import av

    frames = container.decode(stream)
    while True:
        try:
            frame = next(frames, None)
        except av.FFmpegError:
            return
        if frame is None:
            return
        yield frame


class _Opened:
    """A container and its first video stream, closed at the end; faults become MediaErrors."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.path = path
        self.name, self.source = open_source(path, limits)

    def __enter__(self) -> tuple[InputContainer, VideoStream]:
        import av

        try:
            self.container = av.open(
                str(self.source) if not hasattr(self.source, "read") else self.source, "r"
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{self.name} cannot be opened as a video: {_reason(error)}.",
                "Is it whole, and a video?",
            ) from error
        if not self.container.streams.video:
            self.container.close()
            raise MediaError(f"{self.name} has no video stream.", "Is it sound only?")
        stream = self.container.streams.video[0]
        stream.thread_type = "NONE"  # clips are decoded in parallel, not frames
        return self.container, stream

    def __exit__(self, *_: object) -> None:
        self.container.close()


def _probe(path: str, container: InputContainer, stream: VideoStream) -> Probe:
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if rate <= 0:
        raise MediaError(f"{path} has no frame rate.", "Is it a video?")
    total = stream.frames or _counted(container, stream)
    if total < 1:
        raise MediaError(f"{path} has no frames.")
    return Probe(total, rate, stream.width, stream.height, _rotation(container, stream))


def _counted(container: InputContainer, stream: VideoStream) -> int:
    """Packets of the stream, where the container does not say how many frames it has."""
    import av

    count = 0
    try:
        count = sum(1 for packet in container.demux(stream) if packet.size)
        container.seek(0)
    except av.FFmpegError:
        return count
    return count


def _rotation(container: InputContainer, stream: VideoStream) -> int:
    """Degrees by which players turn the picture; decoding the first frame tells."""
    frame = next(_decoded(container, stream), None)
    rotation = int(getattr(frame, "rotation", 0) or 0)
    _rewind(container, stream)
    return rotation


def _rewind(container: InputContainer, stream: VideoStream) -> None:
    import av

    try:
        container.seek(stream.start_time or 0, stream=stream, backward=True)
    except av.FFmpegError:
        return


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
