"""How a clip becomes segments: its shots, none too short to tell anything, none too long to find.

A clip is always found as a whole too; one that makes a single segment is only that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from unite.errors import LibraryError

Span = tuple[float, float]
"""Start and end in seconds."""

How = Literal["scenes", "windows", "whole"]
_DIGITS = 3  # milliseconds, as in what is written about clips elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmenting:
    """What a library does with its clips.

    Attributes:
        how: ``scenes`` cuts where the picture changes, ``windows`` at equal distances, ``whole``
            not at all.
        shortest: Seconds; a shorter shot joins its neighbour.
        longest: Seconds; a longer shot is cut into equal windows.

    Raises:
        LibraryError: The lengths do not fit together.
    """

    how: How = "scenes"
    shortest: float = 2.0
    longest: float = 20.0

    def __post_init__(self) -> None:
        if self.how not in get_args(How) or not 0 < 2 * self.shortest <= self.longest < math.inf:
            raise LibraryError(
                f"Segments of {self.shortest} to {self.longest} s by {self.how!r} cannot be made.",
                f"Use {', '.join(get_args(How))}, and a longest of twice the shortest or more.",
            )

    def wants(self, seconds: float) -> bool:
        """Whether a clip of this length can have more than one segment."""
        return self.how != "whole" and seconds >= 2 * self.shortest


def segments(cuts: Iterable[float], seconds: float, segmenting: Segmenting) -> list[Span]:
    """The segments of a clip, one after the other without a gap; none where it is one alone.

    Args:
        cuts: Times at which the picture changes, in any order.
        seconds: Duration of the clip.
        segmenting: Bounds on the length of a segment.
    """
    if not segmenting.wants(seconds):
        return []
    edges = [0.0]
    for cut in sorted(cut for cut in cuts if 0 < cut < seconds):
        if cut - edges[-1] >= segmenting.shortest:
            edges.append(cut)
    if seconds - edges[-1] < segmenting.shortest:
        edges.pop()
    shots = pairwise([*edges, seconds])
    found = [window for shot in shots for window in _windows(shot, segmenting.longest)]
    return found if len(found) > 1 else []


def _windows(shot: Span, longest: float) -> list[Span]:
    """A shot in equal pieces, none of them longer than allowed."""
    start, end = shot
    pieces = max(1, math.ceil((end - start) / longest - 1e-9))
    edges = [round(start + (end - start) * n / pieces, _DIGITS) for n in range(pieces + 1)]
    return list(pairwise(edges))
