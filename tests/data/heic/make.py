"""Makes the HEIC files beside it. They are kept because no dependency of ours can encode HEVC stills.

`pip install pillow-heif==1.8.1 numpy`, then `python make.py`. Each shows four fields of one colour:
red and green above blue and white, 96 pixels wide and 64 high; the tiled one 128 by 128.
"""

import ctypes
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

HERE = Path(__file__).parent
FIELDS = np.array([[[220, 30, 30], [30, 200, 40]], [[40, 60, 220], [240, 240, 240]]], np.uint8)


def main() -> None:
    pillow_heif.register_heif_opener()
    fields_HWC = FIELDS.repeat(32, axis=0).repeat(48, axis=1)
    picture = Image.fromarray(fields_HWC)
    picture.save(HERE / "plain.heic", quality=60)

    turned = Image.fromarray(np.rot90(fields_HWC).copy())  # as a phone held upright stores it
    turned.getexif()[0x0112] = 6
    words = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    turned.save(HERE / "turned.heic", quality=60, xmp=words)

    glass = picture.convert("RGBA")
    alpha_HW = np.full((64, 96), 255, np.uint8)
    alpha_HW[:, 48:] = 0  # what is green and white must be white
    glass.putalpha(Image.fromarray(alpha_HW))
    glass.save(HERE / "alpha.heic", quality=60)

    deep = pillow_heif.from_bytes("RGB;16", (96, 64), (fields_HWC.astype("<u2") * 257).tobytes())
    deep.save(HERE / "ten_bits.heic", quality=60)

    several = pillow_heif.HeifFile()
    several.add_from_pillow(Image.new("RGB", (32, 32)))
    several.add_from_pillow(picture)
    several.save(HERE / "second_of_two.heic", quality=60, primary_index=1)

    tiled(HERE / "tiled.heic")


class Fault(ctypes.Structure):
    """`heif_error`, which nearly every function of libheif gives."""

    _fields_ = (("code", ctypes.c_int), ("sub", ctypes.c_int), ("message", ctypes.c_char_p))


def tiled(path: Path, side: int = 64) -> None:
    """A picture in tiles, as phones make them; pillow-heif has no function for it, its libheif has."""
    folder = Path(pillow_heif.__file__).parents[1] / "pillow_heif.libs"
    heif = ctypes.CDLL(str(next(folder.glob("libheif*"))))
    pointer, rgb, interleaved, hevc = ctypes.c_void_p, 1, 10, 1
    heif.heif_context_alloc.restype = heif.heif_image_get_plane.restype = pointer

    def call(name: str, *given: object) -> None:
        function = getattr(heif, name)
        function.restype = Fault
        fault = function(*given)
        if fault.code:
            raise OSError(fault.message.decode())

    context, encoder, tiles = pointer(heif.heif_context_alloc()), pointer(), (pointer * 4)()
    call("heif_context_get_encoder_for_format", context, hevc, ctypes.byref(encoder))
    call("heif_encoder_set_lossy_quality", encoder, 60)
    for number, colour in enumerate(FIELDS.reshape(-1, 3)):
        tile, stride = pointer(), ctypes.c_int()
        call("heif_image_create", side, side, rgb, interleaved, ctypes.byref(tile))
        call("heif_image_add_plane", tile, interleaved, side, side, 8)
        plane = heif.heif_image_get_plane(tile, interleaved, ctypes.byref(stride))
        for row in range(side):
            ctypes.memmove(plane + row * stride.value, colour.tobytes() * side, 3 * side)
        tiles[number] = tile
    whole, two = pointer(), ctypes.c_uint16(2)
    call("heif_context_encode_grid", context, tiles, two, two, encoder, None, ctypes.byref(whole))
    call("heif_context_set_primary_image", context, whole)
    call("heif_context_write_to_file", context, str(path).encode())


if __name__ == "__main__":
    main()
