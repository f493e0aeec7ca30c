"""What the weights see: two resizes, then patches.

Released weights were trained on pictures resized twice, by the data loader and by the
processor, and on frames resized down and then up again (paper's code; the golden vectors
tell). Both steps are kept, each with its own limits and filter.

Shapes: T frames, H rows, W columns, C channels, P patches, K values a patch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unite.errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_TOKEN = 28 * 28
"""Pixels of one visual token of Qwen2-VL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelPolicy:
    """Sizes and normalisation; the defaults are those of the released weights.

    Attributes:
        first_min_pixels: Lower limit of a picture's first resize.
        first_max_pixels: Upper limit of a picture's first resize.
        min_pixels: Lower limit of the second resize, of pictures and of each frame.
        max_pixels: Upper limit of the second resize.
        clip_min_pixels: Lower limit of a frame's first resize.
        clip_max_pixels: Upper limit of a frame's first resize; may be the smaller of the two.
            It wins if the size rounded to the factor is above it.
        patch_size: Side of a patch in pixels.
        merge_size: Side of the square of patches that becomes one token.
        temporal_patch_size: Frames in one patch.
        mean: Of each channel, subtracted from values in 0..1.
        std: Of each channel, by which they are divided.

    Raises:
        ValueError: A number is not above zero, or a picture's lower limit is above its upper one.
    """

    first_min_pixels: int = 4 * _TOKEN
    first_max_pixels: int = 16384 * _TOKEN
    min_pixels: int = 256 * _TOKEN
    max_pixels: int = 1280 * _TOKEN
    clip_min_pixels: int = 128 * _TOKEN
    clip_max_pixels: int = 240 * 320
    patch_size: int = 14
    merge_size: int = 2
    temporal_patch_size: int = 2
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "mean" and min(value if isinstance(value, tuple) else (value,)) <= 0:
                raise ValueError(f"{name} must be above 0, not {value}.")
        if self.first_min_pixels > self.first_max_pixels or self.min_pixels > self.max_pixels:
            raise ValueError("The lower limit of a picture's pixels is above the upper one.")

    @property
    def factor(self) -> int:
        """Every side is a multiple of this many pixels."""
        return self.patch_size * self.merge_size


def smart_resize(
    height: int, width: int, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """The size nearest to the given one whose sides are multiples and whose area is in range.

    The rule of Qwen2-VL, to the pixel. Where `min_pixels` is above `max_pixels`, as for clips, a
    size above both is shrunk to the upper limit and one below both is enlarged to the lower.

    Args:
        height: In pixels.
        width: In pixels.
        factor: What both sides become multiples of.
        min_pixels: Smallest area; what is below it after rounding is enlarged.
        max_pixels: Largest area; looked at first.

    Returns:
        Height and width. A very thin picture keeps one factor as its shorter side, and may
        thereby pass the upper limit; the released code gives it no pixels and fails.

    Raises:
        MediaError: A side is not above zero.
    """
    if height < 1 or width < 1:
        raise MediaError(f"A picture of {height} rows and {width} columns has no pixels.")
    high = max(factor, round(height / factor) * factor)
    wide = max(factor, round(width / factor) * factor)
    if high * wide > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        high = max(factor, math.floor(height / shrink / factor) * factor)
        wide = max(factor, math.floor(width / shrink / factor) * factor)
    elif high * wide < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        high = math.ceil(height * grow / factor) * factor
        wide = math.ceil(width * grow / factor) * factor
    return high, wide


def resize_image(image: Image, policy: PixelPolicy) -> Bytes:
    """Both resizes of a picture, by Pillow's bicubic filter; (H, W, C)."""
    height, width = first_size(image.height, image.width, policy)
    return _second_resize(_resample(image, height, width), policy)


def first_size(height: int, width: int, policy: PixelPolicy) -> tuple[int, int]:
    """Height and width of a picture after the first resize."""
    return smart_resize(
        height, width, policy.factor, policy.first_min_pixels, policy.first_max_pixels
    )


def resize_frames(frames_THWC: Bytes, policy: PixelPolicy) -> Bytes:
    """Both resizes of a clip's frames.

    The first is a bicubic with antialias on floats, rounded to 8 bits; the second is a
    picture's own. Frames are taken one by one, since the floats of a long clip would take
    gigabytes; the values do not depend on it.

    Raises:
        MediaError: There are no frames.
    """
    from PIL import Image

    if 0 in frames_THWC.shape:
        raise MediaError("The clip has no frames.")
    height, width = first_frame_size(frames_THWC.shape[1], frames_THWC.shape[2], policy)
    resized = (_resample_frame(frame, height, width) for frame in frames_THWC)
    return np.stack([_second_resize(Image.fromarray(frame), policy) for frame in resized])


def first_frame_size(height: int, width: int, policy: PixelPolicy) -> tuple[int, int]:
    """Height and width of a frame after the first resize."""
    return smart_resize(
        height, width, policy.factor, policy.clip_min_pixels, policy.clip_max_pixels
    )


def patchify(frames_THWC: Bytes, policy: PixelPolicy) -> tuple[Bytes, tuple[int, int, int]]:
    """Cut frames into patches, in the order in which the vision tower merges them.

    Args:
        frames_THWC: Sides are multiples of the factor; the last frame is repeated up to a
            multiple of the temporal patch, so that a picture is seen twice.
        policy: Patch sizes.

    Returns:
        Patches (P, K), 8-bit, each with its values in the order channel, frame, row, column;
        and the grid: temporal slices, rows and columns of patches.
    """
    temporal, patch, merge = policy.temporal_patch_size, policy.patch_size, policy.merge_size
    if short := -len(frames_THWC) % temporal:
        frames_THWC = np.concatenate([frames_THWC, frames_THWC[-1:].repeat(short, axis=0)])
    count, height, width, channels = frames_THWC.shape
    grid = (count // temporal, height // patch, width // patch)
    blocks = frames_THWC.reshape(
        grid[0], temporal,
        grid[1] // merge, merge, patch,
        grid[2] // merge, merge, patch,
        channels,
    )  # fmt: skip
    patches = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return np.ascontiguousarray(patches).reshape(math.prod(grid), -1), grid


def normalise(patches_PK: Bytes, policy: PixelPolicy) -> Floats:
    """Scale 8-bit values to 0..1, subtract the mean and divide by the deviation; (P, K)."""
    scale_K, shift_K = _affine(policy, patches_PK.shape[1])
    values_PK = patches_PK.astype(np.float32)
    values_PK *= scale_K
    values_PK += shift_K
    return values_PK


@lru_cache(maxsize=8)
def _affine(policy: PixelPolicy, values: int) -> tuple[Floats, Floats]:
    mean = np.repeat(np.array(policy.mean), values // len(policy.mean))
    std = np.repeat(np.array(policy.std), values // len(policy.std))
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _second_resize(image: Image, policy: PixelPolicy) -> Bytes:
    height, width = smart_resize(
        image.height, image.width, policy.factor, policy.min_pixels, policy.max_pixels
    )
    return np.asarray(_resample(image, height, width))


def _resample(image: Image, height: int, width: int) -> Image:
    from PIL import Image as Pillow

    if image.size == (width, height):
        return image
    return image.resize((width, height), Pillow.Resampling.BICUBIC)


def _resample_frame(frame_HWC: Bytes, height: int, width: int) -> Bytes:
    """Bicubic with antialias in float, then rounded: torch's 8-bit kernel gives other values."""
    if frame_HWC.shape[:2] == (height, width):
        return frame_HWC
    import torch
    from torch.nn.functional import interpolate

    frame_1CHW = torch.from_numpy(frame_HWC.astype(np.float32)).permute(2, 0, 1)[None]
    resized = interpolate(
        frame_1CHW, (height, width), mode="bicubic", antialias=True, align_corners=False
    )
    rounded = resized.round_().clamp_(0, 255).to(torch.uint8)[0]
    return rounded.permute(1, 2, 0).contiguous().numpy()
