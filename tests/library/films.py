"""Clips of shots that look nothing like each other, and PDFs, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_film(path: Path, shots: Sequence[float], *, rate: int = 10, width: int = 64) -> Path:
    """A clip whose shots last so many seconds; each pans slowly over a picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height = width * 3 // 4
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, seconds in enumerate(shots):
            rng = np.random.default_rng(number)
            coarse = Image.fromarray(rng.integers(0, 255, (4, 12, 3), np.uint8))
            scene = np.asarray(coarse.resize((3 * width, height), Image.Resampling.BICUBIC))
            for step in range(round(seconds * rate)):
                left = step % width
                view = np.ascontiguousarray(scene[:, left : left + width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "rgb24")))
        container.mux(stream.encode())
    return path


def write_pdf(path: Path, pages: Sequence[str], *, password: str | None = None) -> Path:
    """A PDF with one line of words a page."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for words in pages:
        page = writer.add_blank_page(400, 400)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        drawn = DecodedStreamObject()
        drawn.set_data(f"BT /F1 12 Tf 20 350 Td ({words}) Tj ET".encode() if words else b"")
        page[NameObject("/Contents")] = drawn
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write(path)
    return path
