"""A medium decoded as the embedder would, only to learn whether that can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unite.media.container import opened
from unite.media.image import open_image
from unite.media.sampling import FramePolicy
from unite.media.source import Limits
from unite.media.timeline import read_timeline
from unite.types import Clip

if TYPE_CHECKING:
    from unite.media.video import Bytes

_SLACK = 0.05  # of the duration; sound may last longer than the picture
_LEAST = 1.0  # seconds


def look(medium: str | Clip) -> str | None:
    """Decode a picture whole, or of a clip the frames that are seen, and give what is to be noted.

    Raises:
        MediaError: It cannot be opened or decoded, or is beyond the limits.
    """
    if isinstance(medium, str):
        return open_image(medium).note
    from unite.media.video import read_clip

    notes = read_clip(medium, FramePolicy(), shrink=_corner).note, _missing(medium.path)
    return "; ".join(dict.fromkeys(note for note in notes if note)) or None


def _corner(frames_THWC: Bytes) -> Bytes:
    """Frames of a film side by side would fill the memory of many workers."""
    return frames_THWC[:, :1, :1]


def _missing(path: str) -> str | None:
    """What a clip lacks of the time that it claims, where it claims no number of frames.

    The reader compares numbers of frames; Matroska and WebM have none, but a duration.
    """
    limits = Limits()
    with opened(path, limits) as (container, stream):
        claimed = 0.0 if stream.frames else (container.duration or 0) / 1e6
    if not claimed:
        return None
    here = read_timeline(path, limits).seconds
    if here >= claimed - max(_LEAST, _SLACK * claimed):
        return None
    return f"cut short or damaged: {here:.1f} of {claimed:.1f} s"
