"""What is to be known of a clip before it is embedded: its length, its size, its segments."""

from __future__ import annotations

from dataclasses import dataclass

from unite.library.scenes import Cuts, find_cuts
from unite.library.segments import Segmenting, Span, segments
from unite.media.source import Limits
from unite.media.timeline import read_timeline
from unite.media.video import probe


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What a clip is.

    Attributes:
        seconds: Duration; None where it could not be found out.
        width: Pixels, as a player shows it.
        height: Pixels.
        spans: Its segments; none where it is one.
        note: What a reader should know of them.
    """

    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    spans: tuple[Span, ...] = ()
    note: str | None = None


def look_at(path: str, segmenting: Segmenting, seconds: float) -> ClipFacts:
    """Open a clip and find its segments.

    Args:
        path: The clip.
        segmenting: How the library cuts its clips.
        seconds: The longest to look for scenes; the rest is cut at equal distances.

    Raises:
        MediaError: It cannot be opened, or has no video.
    """
    limits = Limits()
    seen = probe(path, limits)
    length = read_timeline(path, limits).seconds
    found = Cuts([])
    if segmenting.how == "scenes" and segmenting.wants(length):
        found = find_cuts(path, limits, seconds=seconds)
    note = None
    if found.seen is not None:
        note = f"cut into scenes up to {found.seen:.0f} s, into equal windows from there on"
        found.times.append(found.seen)
    lying = seen.rotation % 180 != 0
    width, height = (seen.height, seen.width) if lying else (seen.width, seen.height)
    spans = tuple(segments(found.times, length, segmenting))
    return ClipFacts(round(length, 3), width, height, spans, note)
