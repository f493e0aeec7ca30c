"""Makes the HEIC files beside it. They are kept because no dependency of ours can encode HEVC stills.

`pip install pillow-heif==1.8.1 numpy`, then `python make.py`. Each shows four fields of one colour:
red and green above blue and white, 96 pixels wide and 64 high unless said otherwise.
"""

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


if __name__ == "__main__":
    main()
