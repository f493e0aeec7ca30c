"""What an item costs in tokens, told by its media's first bytes without decoding them.

Batches are dealt out by it, so it need only be near: text is guessed by its length, media that
cannot be opened by the policy's limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from unite.errors import MediaError
from unite.media.container import frame_rate, opened
from unite.media.image import picture_size
from unite.media.pixels import first_frame_size, first_size, smart_resize
from unite.media.sampling import frame_count
from unite.media.source import Limits
from unite.model.policy import Policy
from unite.types import Clip, Item, Pair

_PROMPT = 24
"""Tokens of the prompt around the words."""
_LETTERS = 4
"""UTF-8 bytes of a token of English text."""
_REMEMBERED = 1 << 20
Grid = tuple[int, int, int]


class Costs:
    """Guesses tokens of items and pairs under one policy.

    Args:
        policy: Pixels and frames.
        limits: What media are opened at all.
        grid_of: Gives the grid of a medium that has been decoded before, or None.
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits | None = None,
        grid_of: Callable[[str | Clip], Grid | None] = lambda _: None,
    ) -> None:
        self.policy = policy
        self.limits = limits or Limits()
        self._grid_of = grid_of
        self._medium = lru_cache(_REMEMBERED)(self._look)

    def item(self, item: Item) -> int:
        """Tokens of an item, about."""
        words = sum(
            len(part.encode(errors="replace")) for part in (item.instruction, item.text) if part
        )
        pictures = (self._medium(ref) if isinstance(ref, str) else self._picture(ref.size[::-1])
                    for ref in item.images)  # fmt: skip
        return (
            _PROMPT
            + words // _LETTERS
            + sum(pictures)
            + sum(self._medium(clip) for clip in item.videos)
        )

    def pair(self, pair: Pair, *, hard_negatives: bool) -> int:
        """Tokens of all sides of a pair, about."""
        negatives = pair.negatives if hard_negatives else ()
        return sum(self.item(side) for side in (pair.query, pair.candidate, *negatives))

    def _look(self, reference: str | Clip) -> int:
        grid = self._grid_of(reference)
        if grid is not None:
            return math.prod(grid) // self.policy.pixels.merge_size**2
        try:
            if isinstance(reference, Clip):
                return self._clip(reference)
            return self._picture(picture_size(reference, self.limits))
        except MediaError:
            least = self.policy.pixels.min_pixels // self.policy.pixels.factor**2
            return least * (self._slices(self._most_frames()) if isinstance(reference, Clip) else 1)

    def _picture(self, size: tuple[int, int]) -> int:
        return self._tokens(*first_size(*size, self.policy.pixels))

    def _clip(self, clip: Clip) -> int:
        with opened(clip.path, self.limits) as (_, stream):
            rate, total = frame_rate(stream), stream.frames
            size = first_frame_size(stream.height, stream.width, self.policy.pixels)
        if clip.end is not None and rate > 0:
            total = min(total, round((clip.end - (clip.start or 0.0)) * rate)) or total
        told = total > 0 and rate > 0
        frames = frame_count(total, rate, self.policy.frames) if told else self._most_frames()
        return self._slices(frames) * self._tokens(*size)

    def _most_frames(self) -> int:
        return self.policy.frames.nframes or self.policy.frames.max_frames

    def _slices(self, frames: int) -> int:
        return -(-frames // self.policy.pixels.temporal_patch_size)

    def _tokens(self, rows: int, columns: int) -> int:
        pixels = self.policy.pixels
        high, wide = smart_resize(
            rows, columns, pixels.factor, pixels.min_pixels, pixels.max_pixels
        )
        return high * wide // pixels.factor**2
