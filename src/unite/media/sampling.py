"""Which frames of a clip are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME_FACTOR = 2
"""Frames are counted in pairs, because the vision tower joins two into one patch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FramePolicy:
    """How many frames of a clip are seen; the defaults are those of the released weights.

    Attributes:
        fps: Frames taken for each second.
        min_frames: At least so many, if the clip has them.
        max_frames: At most so many.
        nframes: A fixed count instead.

    Raises:
        ValueError: A number is zero or less, or the two limits leave no even count.
    """

    fps: float = 1.0
    min_frames: int = 4
    max_frames: int = 12
    nframes: int | None = None

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ValueError(f"fps must be above 0, not {self.fps}.")
        if self.nframes is not None and self.nframes < 1:
            raise ValueError(f"nframes must be at least 1, not {self.nframes}.")
        if self.min_frames < 1 or self.max_frames < max(self.min_frames, FRAME_FACTOR):
            raise ValueError(
                f"min_frames {self.min_frames} and max_frames {self.max_frames} leave no frames."
            )


def frame_count(total: int, rate: float, policy: FramePolicy) -> int:
    """How many of a clip's frames are seen: an even number, at least two.

    The released rule: duration times fps within the limits, then rounded half to even to a
    multiple of two (9 s at 1 fps give 8). Where the released code fails, on a clip of fewer
    frames than that, we take as many as there are.

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
    """Frame numbers spread evenly from the first to the last frame, both included.

    The same as `torch.linspace(0, total - 1, count).round()`, whose steps are counted from the
    nearer end and rounded once to 32 bits. numpy's own linspace rounds elsewhere and takes
    neighbouring frames of some clips of more than an hour.

    Args:
        total: Frames of the clip, at least one.
        count: How many are wanted, at least two; more than there are repeat some.
    """
    step = np.float64(np.float32(total - 1) / np.float32(count - 1))
    i = np.arange(count)
    from_start, from_end = step * i, total - 1 - step * (count - 1 - i)
    places = np.where(i < count // 2, from_start, from_end).astype(np.float32)
    return tuple(int(place) for place in places.round())
