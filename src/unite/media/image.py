"""Pictures: opened safely, upright, in RGB."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unite.errors import MediaError
from unite.media import heif
from unite.media.source import Limits, open_source

_IN_MEMORY = Lock()
"""A picture that was opened but not loaded yet is read on first use, from one file whoever asks."""
# Between one and two times its limit Pillow only warns; who turns warnings into errors gets ours.
# Silencing it with warnings.catch_warnings would not be safe in a server's threads.
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ORIENTATION = 0x0112
_PROGRAMS = {"EPS"}  # Pillow hands these to Ghostscript
_PREVIEWS = {"MPO"}  # a phone's JPEG: its further frames are previews and depth maps
_WHITE = (255, 255, 255)

heif.register()


@dataclass(frozen=True, slots=True)
class Picture:
    """An RGB picture in memory, and what a reader should know of how it was read."""

    image: Image.Image
    note: str | None = None


def open_image(reference: str | Image.Image, limits: Limits | None = None) -> Picture:
    """Open a picture, turn it upright by its EXIF data and convert it to RGB.

    Transparency is laid on white: the released code drops the alpha channel instead, which
    shows whatever colour lies hidden there, often black. Values of more than 8 bits are scaled;
    of an animation the first frame is taken, of several pictures in a HEIC file the one that it
    calls the main one. Opaque 8-bit pictures are what the released code makes of them, to the bit.

    Args:
        reference: A path, a `file://` address, a `data:` URI, or a picture in memory (which
            is left as it is).
        limits: The largest picture.

    Raises:
        MediaError: It cannot be opened or decoded, or is beyond the limits.
    """
    limits = limits or Limits()
    if isinstance(reference, Image.Image):
        with _IN_MEMORY:
            return _decode("The picture", reference, limits)
    name, image = _opened(reference, limits)
    with image:
        return _decode(name, image, limits)


def picture_size(reference: str, limits: Limits | None = None) -> tuple[int, int]:
    """Rows and columns of a picture by its first bytes, as it lies in the file.

    Raises:
        MediaError: It cannot be opened.
    """
    _, image = _opened(reference, limits or Limits())
    with image:
        return image.height, image.width


def _opened(reference: str, limits: Limits) -> tuple[str, Image.Image]:
    name, source = open_source(reference, limits)
    if limits.max_pixels > Limits().max_pixels and Image.MAX_IMAGE_PIXELS is not None:
        # Pillow's own limit holds for the whole process; only a higher wish may raise it.
        Image.MAX_IMAGE_PIXELS = max(limits.max_pixels, Image.MAX_IMAGE_PIXELS)
    try:
        return name, Image.open(source)
    except _BOMB as error:
        raise MediaError(
            f"{name} is too large: {error}",
            "Shrink it; or trust it: unite embed --max-pixels, PIL.Image.MAX_IMAGE_PIXELS.",
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{name} is no picture of a known format, or its first bytes are damaged.",
            "Convert it to JPEG or PNG; name a clip as a video.",
        ) from error
    except Exception as error:  # plugins raise anything, AssertionError among it
        raise _damaged(name, error) from error


def _damaged(name: str, error: BaseException) -> MediaError:
    reason = str(error) or type(error).__name__
    return MediaError(
        f"{name} cannot be decoded as a picture: {reason}.", "Is it whole, and a picture?"
    )


def _decode(name: str, image: Image.Image, limits: Limits) -> Picture:
    if image.format in _PROGRAMS:
        raise MediaError(
            f"{name} is a program in {image.format} and is not run.", "Convert it to PNG."
        )
    limits.check_size(name, *image.size)
    notes: list[str] = []
    try:
        image.load()
        flat = _rgb(image, notes)
    except Exception as error:
        raise _damaged(name, error) from error
    flat = _upright(image, flat, notes)
    _count_frames(image, notes)
    return Picture(flat, "; ".join(notes) or None)


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """A new picture of 8 bits and three channels; never the caller's own object."""
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image, notes)
    if not image.has_transparency_data:
        return image.copy() if image.mode == "RGB" else image.convert("RGB")
    if image.mode == "La":  # premultiplied grey has no direct way to RGBA
        image = image.convert("LA")
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, _WHITE)
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Scale deep grey values; Pillow's own conversion would clip them at 255."""
    values_HW = np.nan_to_num(np.asarray(image, dtype=np.float64))
    full = 65535.0
    if not image.mode.startswith("I;16"):  # the file does not tell its range
        top = float(values_HW.max())
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        full = next((full for full in usual if top <= full), top)
        notes.append(f"grey values taken as 0 to {full:g}")
    values_HW = np.clip(values_HW * (255.0 / full), 0, 255).round()
    return Image.fromarray(values_HW.astype(np.uint8)).convert("RGB")


def _upright(image: Image.Image, flat: Image.Image, notes: list[str]) -> Image.Image:
    """Turn and mirror ``flat`` as the EXIF data of ``image`` says."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation not in range(2, 9):
            return flat
        flat.getexif()[_ORIENTATION] = orientation
        return ImageOps.exif_transpose(flat)
    except Exception:  # noqa: BLE001 - the pixels are whole: a broken note must not cost them
        notes.append("its EXIF data is broken, so it may lie on its side")
        return flat


def _count_frames(image: Image.Image, notes: list[str]) -> None:
    """Say that more frames follow; the first is decoded, so damage among them does no harm."""
    if image.format in _PREVIEWS:
        return
    which = "main one" if image.format == "HEIF" else "first"
    try:
        if getattr(image, "is_animated", False):  # looks for a second frame
            notes.append(f"{which} of {getattr(image, 'n_frames', 1)} frames")
    except Exception:  # noqa: BLE001 - the first one was whole
        notes.append(f"{which} of several frames")
