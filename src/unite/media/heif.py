"""HEIC and HEIF, the stills of phones and cameras: what Pillow needs to open them.

pi-heif decodes only and is LGPL; its sister that also encodes carries x265, which is GPL. Libheif
turns and mirrors the picture itself, scales 10 and 12 bits to 8, and joins the tiles of a phone's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pi_heif
from PIL import Image

_LARGEST = 16 << 20
"""Bytes of a file's description, which has some kilobytes."""


class _Still(pi_heif.HeifImageFile):  # type: ignore[misc]  # it has no types
    def _open(self) -> None:
        _check_items(self.fp)
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


def _check_items(file: BinaryIO) -> None:
    """Refuse names and types of items that are no text: pi-heif 1.4 dies of them, process and all.

    Raises:
        SyntaxError: There is one, which is how plugins of Pillow decline a file.
    """
    for size in _boxes(file, b"meta"):
        meta = file.read(min(size, _LARGEST))
        at = meta.find(b"infe")
        while at >= 4:
            entry = meta[at + 4 : at - 4 + int.from_bytes(meta[at - 4 : at])]
            number = 2 if entry[:1] <= b"\2" else 4  # bytes of the item's number, by version
            try:
                entry[6 + number :].decode()
            except UnicodeDecodeError as error:
                raise SyntaxError(
                    "an item of a HEIF file has a name or type that is no text"
                ) from error
            at = meta.find(b"infe", at + 4)


def _boxes(file: BinaryIO, kind: bytes) -> Iterator[int]:
    """Sizes of the contents of a file's outermost boxes of a kind, each with the file at them."""
    file.seek(0)
    while len(head := file.read(8)) == 8:
        size, head_size = int.from_bytes(head[:4]), 8
        if size == 1:
            size, head_size = int.from_bytes(file.read(8)), 16
        start = file.tell()
        if head[4:] == kind:
            yield size - head_size if size else _LARGEST
        if size < head_size:  # 0: it reaches to the end
            return
        file.seek(start + size - head_size)
