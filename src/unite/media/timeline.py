"""When each frame of a clip is shown, found without decoding where that can be done.

Legend: F frames of the whole clip, in the order in which they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unite.errors import MediaError
from unite.media.container import decoded, frame_rate, opened, packets
from unite.media.source import Limits, name_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each frame is shown.

    Attributes:
        stamps_F: Ascending, in ticks; plain frame numbers where the file has no times.
        keys: Numbers of the frames at which decoding can start, ascending.
        tick: Seconds of one tick.
        rate: Frames a second, on average.
        declared: Frames that the container claims; at least those that are here.
        timed: The stamps are the file's own.
    """

    stamps_F: Numbers
    keys: Numbers
    tick: float
    rate: float
    declared: int
    timed: bool

    @property
    def total(self) -> int:
        """Number of frames."""
        return len(self.stamps_F)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds from the first frame on; shape (F,)."""
        seconds: npt.NDArray[np.float64] = (self.stamps_F - self.stamps_F[0]) * self.tick
        return seconds

    @property
    def seconds(self) -> float:
        """Duration, up to the end of the last frame."""
        return float(self.times[-1]) + 1 / self.rate

    def key_before(self, frame: int) -> int:
        """Where decoding must start in order to reach a frame."""
        place = int(np.searchsorted(self.keys, frame, side="right"))
        return int(self.keys[place - 1]) if place else 0


def read_timeline(reference: str, limits: Limits) -> Timeline:
    """Find out when each frame is shown, without decoding.

    Raises:
        MediaError: It cannot be opened, or has no video frame.
    """
    with opened(reference, limits) as (container, stream):
        quick = index_timeline(container, stream)
        return quick or packet_timeline(name_of(reference), container, stream)


def exact_timeline(reference: str, limits: Limits) -> Timeline:
    """The same, from every packet; of a film that is a reading of gigabytes.

    Raises:
        MediaError: It cannot be opened, or has no video frame.
    """
    with opened(reference, limits) as (container, stream):
        return packet_timeline(name_of(reference), container, stream)


def packet_timeline(name: str, container: InputContainer, stream: VideoStream) -> Timeline:
    """The timeline by all packets; the container is then at its end.

    Raises:
        MediaError: There is no frame.
    """
    stamps: list[int | None] = []
    keys: list[int | None] = []
    hidden = 0
    for packet in packets(container, stream):
        if not packet.size or packet.is_corrupt:
            continue
        if packet.is_discard:  # cut away by an edit list: decoded, but not shown
            hidden += 1
            continue
        stamps.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    return _timeline(name, stream, stamps, keys, stream.frames - hidden)


def surviving_timeline(reference: str, limits: Limits, declared: int) -> Timeline:
    """The timeline of those frames that decode; all are decoded to know.

    Raises:
        MediaError: None does.
    """
    with opened(reference, limits) as (container, stream):
        stamps = [frame.pts for frame in decoded(container, stream)]
        return _timeline(name_of(reference), stream, stamps, [], declared)


def index_timeline(container: InputContainer, stream: VideoStream) -> Timeline | None:
    """The timeline by the container's index, if that is complete and the frame rate constant.

    The index tells when frames are decoded. Only at a constant rate are they shown at the same
    distances; the reader checks the stamp of each frame it takes. Nothing is read.
    """
    count = stream.frames
    if count < 2 or len(stream.index_entries) != count or stream.start_time is None:
        return None
    table = [(e.timestamp, e.pos + e.size, e.size, e.is_keyframe, e.is_discard)
             for e in stream.index_entries]  # fmt: skip
    times_F, ends_F, sizes_F, keys_F, discards_F = np.array(table, dtype=np.int64).T
    step = int(times_F[1] - times_F[0])
    if step <= 0 or (np.diff(times_F) != step).any() or discards_F.any():
        return None
    if ends_F.max() > container.size or sizes_F.min() <= 0:
        return None
    stamps_F = stream.start_time + step * np.arange(count, dtype=np.int64)
    tick = float(stream.time_base or 0)
    return Timeline(stamps_F, np.flatnonzero(keys_F), tick, 1 / (step * tick), count, timed=True)


def _timeline(
    name: str,
    stream: VideoStream,
    stamps: Sequence[int | None],
    keys: Sequence[int | None],
    declared: int,
) -> Timeline:
    if not stamps:
        raise MediaError(f"{name} has no frames.", "Is it whole?")
    rate, tick = frame_rate(stream), float(stream.time_base or 0)
    known = [stamp for stamp in stamps if stamp is not None]
    timed = len(known) == len(stamps) and tick > 0
    if not timed:  # some old containers: frames can only be counted
        if rate <= 0:
            raise MediaError(f"{name} tells neither times nor a frame rate.", "Convert it to MP4.")
        known, keys, tick = list(range(len(stamps))), [], 1 / rate
    stamps_F = np.unique(np.array(known, dtype=np.int64))
    if rate <= 0:
        rate = (len(stamps_F) - 1) / ((stamps_F[-1] - stamps_F[0]) * tick or 1.0) or 1.0
    starts = np.searchsorted(stamps_F, np.array([k for k in keys if k is not None], dtype=np.int64))
    declared = max(declared, len(stamps))
    return Timeline(stamps_F, np.unique(starts), tick, float(rate), declared, timed)
