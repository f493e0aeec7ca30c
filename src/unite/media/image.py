"""Pictures: opened safely, upright, in RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unite.errors import MediaError
from unite.media.source import Limits, open_source

if TYPE_CHECKING:
    from PIL.Image import Image

_DECODE_ERRORS = (
    OSError,  # truncated and unidentified files, and most faults of Pillow's plugins
    SyntaxError,  # how the PNG plugin reports a broken chunk
    ValueError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    EOFError,
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An RGB picture and what a reader should know of how it was read."""

    image: Image
    note: str | None = None


def open_image(reference: str | Image, limits: Limits | None = None) -> Picture:
    """Open a picture, turn it upright by its EXIF data and convert it to RGB.

    Transparency is laid on white and 16-bit values are scaled to 8, as the published
    pipeline's conversion does for the former; of an animation the first frame is taken.

    Args:
        reference: A path, a `data:` URI, or a picture in memory.
        limits: The largest picture.

    Raises:
        MediaError: It cannot be opened or decoded, or is beyond the limits.
    """
    from PIL import Image

    limits = limits or Limits()
    if isinstance(reference, Image.Image):
        limits.check_size("The picture", *reference.size)
        return Picture(_rgb(reference))
    name, source = open_source(reference, limits)
    try:
        with warnings.catch_warnings(), Image.open(source) as image:
            warnings.simplefilter("ignore")  # a bomb is judged by our own limit below
            limits.check_size(name, *image.size)
            frames = getattr(image, "n_frames", 1)
            note = f"first of {frames} frames" if frames > 1 else None
            return Picture(_rgb(image), note)
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise MediaError(f"{name} is too large: {error}", "Shrink it.") from error
    except _DECODE_ERRORS as error:
        raise MediaError(
            f"{name} cannot be decoded as a picture: {error}.", "Is it whole, and a picture?"
        ) from error


def _rgb(image: Image) -> Image:
    """Upright, 8 bits, three channels."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Pillow.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Scale deep grey values; Pillow's own conversion would clip them at 255."""
    import numpy as np
    from PIL import Image as Pillow

    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255.0
    return Pillow.fromarray(np.clip(values * (255.0 / top), 0, 255).round().astype(np.uint8))
