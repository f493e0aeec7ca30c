"""HEIC and HEIF, the stills of phones and cameras: what Pillow needs to open them.

pi-heif decodes only and is LGPL; its sister that also encodes carries x265, which is GPL. Libheif
turns and mirrors the picture itself, scales 10 bits to 8, and joins the tiles of a phone's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pi_heif
from PIL import Image


class _Still(pi_heif.HeifImageFile):  # type: ignore[misc]  # it has no types
    def _open(self) -> None:
        _check_items(self.fp.read())
        self.fp.seek(0)
        super()._open()


def register() -> None:
    """Let Pillow open them; previews and depth maps in the file are passed over.

    A thread for each picture: they are decoded side by side.
    """
    pi_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )
    _, accepts = Image.OPEN[_Still.format]
    Image.register_open(_Still.format, _Still, accepts)


def _check_items(data: bytes) -> None:
    """Refuse names and types of items that are no text: pi-heif 1.4 dies of them, process and all.

    Raises:
        SyntaxError: There is one, which is how plugins of Pillow decline a file.
    """
    for meta in _boxes(data, b"meta"):
        for found in re.finditer(b"(?s)(....)infe", meta):
            size, start = int.from_bytes(found[1]), found.end()
            number = 2 if meta[start : start + 1] <= b"\2" else 4  # bytes of the item's number
            words = meta[start + 6 + number : found.start() + size]
            try:
                words.decode()
            except UnicodeDecodeError:
                words = b""
            if not words:  # nor is any where the size is one that nobody writes
                raise SyntaxError("an item of a HEIF file has a name or type that is no text")


def _boxes(data: bytes, kind: bytes) -> Iterator[bytes]:
    """Contents of a file's outermost boxes of a kind."""
    at = 0
    while len(head := data[at : at + 16]) >= 8:
        size, head_size = int.from_bytes(head[:4]), 8
        if size == 1:
            size, head_size = int.from_bytes(head[8:]), 16
        end = at + size if size else len(data)  # 0: it reaches to the end
        if head[4:8] == kind:
            yield data[at + head_size : end]
        at = max(end, at + head_size)
