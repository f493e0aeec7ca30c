"""The wanted frames of an open clip, with as little decoded as can be.

Decoding can only start at a key frame, and a frame that others are predicted from must be decoded
for their sake. What is neither is spared: by a seek where the next wanted frame lies behind a
later key frame, by skipping frames that none is predicted from, and by asking the decoder for
what it holds back as soon as it has the last packet that is needed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from unite.media.container import decoded, packets
from unite.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

SEEK_COST = 3
"""A seek is worth it if it spares the decoding of more frames than this."""

_SKIPPING = {"h264"}
"""Codecs that mark frames which no other is predicted from. HEVC's marks hold only within a
temporal layer; B-frames of MPEG-4 are rare."""


class Way(Enum):
    """How frames are come by; all give the same bits, where they give any."""

    EAGER = auto()
    """By seeks, decoding only what is needed. A packet must hold a whole frame."""
    PATIENT = auto()
    """By seeks, decoding every frame up to the wanted one."""
    STRAIGHT = auto()
    """In one pass from the start."""


@dataclass(frozen=True, slots=True)
class Reel:
    """An open clip with its timeline.

    Attributes:
        fresh: The container stands at its start; else there must be a seek before anything.
    """

    container: InputContainer
    stream: VideoStream
    timeline: Timeline
    fresh: bool = True

    def frames(self, wanted: Sequence[int], way: Way) -> Iterator[tuple[int, Any]]:
        """Wanted frames with their numbers, up to the first that is not to be had.

        Args:
            wanted: Ascending numbers of frames.
            way: How to come by them; of a clip without times only in one pass.
        """
        for key, numbers in self._runs(wanted, way):
            if key is not None and not _seek(self.container, self.stream, self._stamp(key)):
                return
            count = 0
            for found in self._run(numbers, way):
                yield found
                count += 1
            if count < len(numbers):
                return

    def _stamp(self, number: int) -> int:
        return int(self.timeline.stamps_F[number])

    def _runs(self, wanted: Sequence[int], way: Way) -> list[tuple[int | None, list[int]]]:
        """Stretches without a seek, each with the key frame sought before it, if any is."""
        runs: list[tuple[int | None, list[int]]] = []
        here = 0 if self.fresh else -math.inf
        for number in wanted:
            key = self.timeline.key_before(number)
            if way is not Way.STRAIGHT and key - here > SEEK_COST:
                runs.append((key, [number]))
            elif runs:
                runs[-1][1].append(number)
            else:
                runs.append((None, [number]))
            here = number + 1
        return runs

    def _run(self, numbers: Sequence[int], way: Way) -> Iterator[tuple[int, Any]]:
        """The frames of one stretch, in their order, up to the first that is missing."""
        stamps = [self._stamp(number) if self.timeline.timed else number for number in numbers]
        waiting = iter(zip(stamps, numbers, strict=True))
        stamp, number = next(waiting)
        for at, frame in self._stamped(set(stamps), way):
            if at > stamp or (way is Way.EAGER and (frame.interlaced_frame or frame.is_corrupt)):
                return
            if at == stamp:
                yield number, frame
                if number == numbers[-1]:
                    return
                stamp, number = next(waiting)

    def _stamped(self, stamps: Collection[int], way: Way) -> Iterator[tuple[int, Any]]:
        """Frames with their stamps; counted from the start where the file has no times."""
        if way is Way.EAGER:
            frames = _needed(self.container, self.stream, stamps)
        else:
            frames = decoded(self.container, self.stream)
        if not self.timeline.timed:
            return enumerate(frames)
        return ((frame.pts, frame) for frame in frames if frame.pts is not None)


def _needed(
    container: InputContainer, stream: VideoStream, stamps: Collection[int]
) -> Iterator[Any]:
    """Frames of these stamps, and of others only those that they are predicted from.

    It ends at the first damage: what a decoder puts in its place is left to the other ways.
    """
    import av

    context, last, unsent = stream.codec_context, max(stamps), set(stamps)
    skips = context.name in _SKIPPING
    try:
        for packet in packets(container, stream):
            if skips:
                context.skip_frame = "DEFAULT" if packet.pts in stamps else "NONREF"
            yield from packet.decode()
            unsent.discard(packet.pts)
            if not unsent or (packet.dts is not None and packet.dts > last):
                break
        yield from stream.decode(None)
    except av.FFmpegError:
        return


def _seek(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    import av

    try:
        container.seek(stamp, stream=stream, backward=True)
    except (av.FFmpegError, OverflowError):
        return False
    return True
