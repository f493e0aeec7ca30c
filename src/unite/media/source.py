"""What a reference to a medium stands for, and how much of it we are willing to open."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from unite.errors import MediaError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The largest media that are opened.

    Attributes:
        max_pixels: Of a picture or a frame; a small file can hold a huge picture.
        max_bytes: Of a file.
        max_aspect: Longer side over shorter; beyond it no resize leaves anything to see.
        max_seconds: Of a clip.
    """

    max_pixels: int = 178_956_970
    max_bytes: int = 16 << 30
    max_aspect: float = 200.0
    max_seconds: float = 24 * 3600.0

    def check_size(self, name: str, width: int, height: int) -> None:
        """Refuse a picture or frame by its size.

        Raises:
            MediaError: It has too many pixels, none, or is too thin a strip.
        """
        if width < 1 or height < 1:
            raise MediaError(f"{name} has no pixels ({width}×{height}).")
        if width * height > self.max_pixels:
            raise MediaError(
                f"{name} has {width}×{height} pixels; at most {self.max_pixels:,} are opened.",
                "Shrink it, or raise the limit if you trust the file.",
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise MediaError(
                f"{name} is a strip of {width}×{height} pixels; "
                f"at most {self.max_aspect:g}:1 is taken.",
                "Cut it into pieces.",
            )


def open_source(reference: str, limits: Limits) -> tuple[str, Path | io.BytesIO]:
    """Find what a reference stands for.

    Args:
        reference: A path, or a `data:` URI.
        limits: The largest file.

    Returns:
        Its name for messages, and the path or the bytes.

    Raises:
        MediaError: There is no such file, it is empty or too large, or the reference is of a
            kind that is not opened, such as an http address.
    """
    if reference.startswith("data:"):
        return "the data URI", io.BytesIO(_data_uri(reference))
    scheme, sign, _ = reference.partition("://")
    if sign and scheme.isalpha():
        raise MediaError(f"{scheme} addresses are not fetched: {reference}.", "Download the file.")
    path = Path(reference)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{reference} cannot be opened: {reason}.", "Check the path.") from error
    if path.is_dir():
        raise MediaError(f"{reference} is a folder.", "Name a file.")
    if size == 0:
        raise MediaError(f"{reference} is empty.")
    if size > limits.max_bytes:
        raise MediaError(f"{reference} has {size:,} bytes; the limit is {limits.max_bytes:,}.")
    return reference, path


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _data_uri(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise MediaError("The data URI has no comma.", "Write data:image/png;base64,…")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise MediaError(f"The data URI is not valid base64: {error}.") from error
