"""Items become tensors: the prompt's tokens, and the patches of their media.

Shapes: L tokens of one item, B items, P patches, K values a patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite.errors import TooLongError
from unite.media.image import open_image
from unite.media.pixels import normalise, patchify, resize_frames, resize_image
from unite.media.source import Limits
from unite.media.video import read_clip
from unite.model.policy import Policy
from unite.model.tokenizer import END, IMAGE_PAD, VIDEO_PAD, token_id
from unite.prompts import render
from unite.types import Clip, Item, Modality

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from tokenizers import Tokenizer

Grid = tuple[int, int, int]

FOREIGN = (
    "this model knows only the small world, and this is not of it; "
    "for real pictures and clips use a released model: -m instruct-2b"
)
"""Noted when a small-world model sees a medium of another size than its world's."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """The patches of one medium, as 8-bit values, and what a reader should know of them.

    `key` is the medium's name in a cache of visual tokens, if there is one.
    """

    patches_PK: npt.NDArray[np.uint8]
    grid: Grid
    note: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a frozen vision tower made of one medium before.

    An array, since torch would send a tensor between processes through shared memory, a file each.

    Attributes:
        values_VD: fp32, or the bits of bf16.
        grid: Of the medium.
    """

    values_VD: npt.NDArray[np.float32] | npt.NDArray[np.uint16]
    grid: Grid
    note: str | None = None

    def tokens(self) -> torch.Tensor:
        """The visual tokens (V, D)."""
        import torch

        tokens_VD = torch.from_numpy(self.values_VD)
        return tokens_VD.view(torch.bfloat16) if tokens_VD.dtype == torch.uint16 else tokens_VD


@dataclass(frozen=True, slots=True)
class Features:
    """One item as the model takes it.

    Attributes:
        input_ids_L: Token ids, visual ones repeated for each merged patch.
        pixels: The item's media in order of appearance in the prompt.
    """

    input_ids_L: npt.NDArray[np.int64]
    pixels: tuple[Pixels | Seen, ...]

    @property
    def note(self) -> str | None:
        """What happened to the media on the way, or None."""
        return "; ".join(medium.note for medium in self.pixels if medium.note) or None


class Preprocessor:
    """Turns items into features and features into batches.

    Args:
        tokenizer: The model's.
        policy: Pixels, frames and length limit.
        limits: What media are opened at all.
        fit: Whether a clip gives up frames where its item would be longer than the model takes.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        policy: Policy,
        limits: Limits | None = None,
        *,
        fit: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.policy = policy
        self.fit = fit
        self.limits = limits or Limits()
        self._pads = {
            Modality.IMAGE: token_id(tokenizer, IMAGE_PAD),
            Modality.VIDEO: token_id(tokenizer, VIDEO_PAD),
        }
        self._end = token_id(tokenizer, END)

    def __call__(
        self, item: Item, see: Callable[[str | Image | Clip], Pixels | Seen] | None = None
    ) -> Features:
        """Read, resize and cut the item's media and write its tokens.

        Args:
            item: What to embed.
            see: Gives the pixels of a reference; `self.see` unless a cache stands before it.

        Raises:
            ItemError: A medium cannot be read, the text does not fit the media, or the
                whole is longer than the model takes.
        """
        see = see or self.see
        prompt = render(item)
        images, videos = iter(item.images), iter(item.videos)
        pixels = tuple(
            see(next(images) if slot is Modality.IMAGE else next(videos)) for slot in prompt.slots
        )
        ids_L = np.array(
            self.tokenizer.encode(prompt.text, add_special_tokens=False).ids, dtype=np.int64
        )
        if self.fit:
            pixels = self._fitted(item, prompt.slots, ids_L, pixels)
        return Features(self._expand(ids_L, pixels), pixels)

    def _fitted(
        self,
        item: Item,
        slots: Sequence[Modality],
        ids_L: npt.NDArray[np.int64],
        pixels: tuple[Pixels | Seen, ...],
    ) -> tuple[Pixels | Seen, ...]:
        """The same media, all clips with as many frames as the length limit leaves them."""
        policy = self.policy
        clips = iter(item.videos)
        shown = [next(clips) if slot is Modality.VIDEO else None for slot in slots]
        slices = [medium.grid[0] for medium in pixels]
        cost = [int(np.prod(medium.grid[1:])) // policy.pixels.merge_size**2 for medium in pixels]
        most = max((count for count, clip in zip(slices, shown, strict=True) if clip), default=0)

        def length(kept: int) -> int:
            counts = [
                min(count, kept) if clip else count
                for count, clip in zip(slices, shown, strict=True)
            ]
            return len(ids_L) - len(slots) + int(np.dot(counts, cost))

        kept = next((kept for kept in range(most, 0, -1) if length(kept) <= policy.max_tokens), 0)
        if kept in (0, most):  # it never fits, which is said below, or it does as it is
            return pixels
        frames = policy.pixels.temporal_patch_size * kept
        return tuple(
            self._with_frames(clip, frames) if clip and count > kept else medium
            for medium, clip, count in zip(pixels, shown, slices, strict=True)
        )

    def _with_frames(self, clip: Clip, frames: int) -> Pixels:
        seen = see(clip, self.policy.with_frames(nframes=frames), self.limits)
        note = f"{frames} frames, to fit the model's {self.policy.max_tokens} tokens"
        return replace(seen, note=f"{seen.note}; {note}" if seen.note else note)

    def see(self, reference: str | Image | Clip) -> Pixels:
        """`see` under this model's policy."""
        return see(reference, self.policy, self.limits)

    def _expand(
        self, ids_L: npt.NDArray[np.int64], pixels: Sequence[Pixels | Seen]
    ) -> npt.NDArray[np.int64]:
        """Repeat each pad token for every visual token of its medium; check the length."""
        if pixels:
            merged = self.policy.pixels.merge_size**2
            repeats_L = np.ones(len(ids_L), dtype=np.int64)
            slots = np.flatnonzero(np.isin(ids_L, list(self._pads.values())))
            repeats_L[slots] = [int(np.prod(medium.grid)) // merged for medium in pixels]
            ids_L = np.repeat(ids_L, repeats_L)
        if len(ids_L) > self.policy.max_tokens:
            has_clip = bool((ids_L == self._pads[Modality.VIDEO]).any())
            remedy = "Shorten the text, or make several items of it."
            if has_clip and not self.fit:
                remedy = (
                    "Shorten the text or take fewer frames; "
                    "`unite embed --fit` (fit=True) takes fewer by itself."
                )
            raise TooLongError(
                f"The item needs {len(ids_L)} tokens; the model takes {self.policy.max_tokens}.",
                remedy,
            )
        return ids_L

    def collate(self, features: Sequence[Features]) -> dict[str, Any]:
        """Stack items into the encoder's arguments, padded on the right.

        Returns:
            `input_ids_BL`, `length_B`, `patches_PK` (normalised float32, or None), `grids`,
            `media`: for each medium in order of appearance, its number among the grids, and
            `seen`: the tokens of those that need no patches, None for the others; `keys`: where
            a cache waits for them. A medium that occurs several times (the same object) is
            there once.
        """
        import torch

        lengths = [len(item.input_ids_L) for item in features]
        input_ids_BL = np.full((len(features), max(lengths)), self._end, dtype=np.int64)
        for row, item in zip(input_ids_BL, features, strict=True):
            row[: len(item.input_ids_L)] = item.input_ids_L
        shown = [medium for item in features for medium in item.pixels]
        media = list({id(medium): medium for medium in shown}.values())
        number = {id(medium): place for place, medium in enumerate(media)}
        pixels = [medium for medium in media if isinstance(medium, Pixels)]
        return {
            "input_ids_BL": torch.from_numpy(input_ids_BL),
            "length_B": torch.tensor(lengths),
            "patches_PK": self._normalised(pixels) if pixels else None,
            "grids": [medium.grid for medium in media],
            "media": [number[id(medium)] for medium in shown],
            "keys": [getattr(medium, "key", None) for medium in media],
            "seen": [medium.tokens() if isinstance(medium, Seen) else None for medium in media],
        }

    def _normalised(self, pixels: Sequence[Pixels]) -> torch.Tensor:
        import torch

        patches_PK = np.concatenate([medium.patches_PK for medium in pixels])
        return torch.from_numpy(normalise(patches_PK, self.policy.pixels))


def see(reference: str | Image | Clip, policy: Policy, limits: Limits | None = None) -> Pixels:
    """The patches of a picture (a path, or an image in memory) or of a clip.

    Args:
        reference: The medium.
        policy: Which frames, what size.
        limits: What is opened at all.

    Raises:
        MediaError: It cannot be opened or decoded.
    """
    limits, sizes = limits or Limits(), set()

    def shrink(frames_THWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        sizes.add(frames_THWC.shape[1] * frames_THWC.shape[2])
        return resize_frames(frames_THWC, policy.pixels)

    if isinstance(reference, Clip):
        clip = read_clip(reference, policy.frames, limits, shrink=shrink)
        frames_THWC, note = clip.frames_THWC, clip.note
    else:
        picture = open_image(reference, limits)
        sizes.add(picture.image.width * picture.image.height)
        frames_THWC, note = resize_image(picture.image, policy.pixels)[None], picture.note
    if policy.small_world and sizes != {policy.pixels.max_pixels}:
        note = f"{note}; {FOREIGN}" if note else FOREIGN
    patches_PK, grid = patchify(frames_THWC, policy.pixels)
    return Pixels(patches_PK, grid, note)


def media_of(items: Iterable[Item]) -> Iterator[str | Clip]:
    """Every file that some items refer to."""
    for item in items:
        yield from (image for image in item.images if isinstance(image, str))
        yield from item.videos
