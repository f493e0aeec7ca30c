"""What a reference to a medium stands for, and how much of it we are willing to open."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from unite.errors import MediaError

_LATEST = 2**63 - 1
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The largest media that are opened.

    Attributes:
        max_pixels: Of a picture or a frame; a small file can hold a huge picture. The default
            is where Pillow itself refuses a file as a decompression bomb.
        max_bytes: Of a file, or of what a `data:` URI holds.
        max_aspect: Longer side over shorter, as in Qwen2-VL; beyond it no resize leaves
            anything to see.
        max_seconds: Of a clip; a damaged header can claim years.
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
            raise MediaError(f"{name} has no pixels ({width}×{height}).", "Replace the file.")
        if width * height > self.max_pixels:
            raise MediaError(
                f"{name} has {width}×{height} pixels; at most {self.max_pixels:,} are opened.",
                "Shrink it, or raise the limit (--max-pixels) if you trust the file.",
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise MediaError(
                f"{name} is a strip of {width}×{height} pixels; "
                f"at most {self.max_aspect:g}:1 is taken.",
                "Cut it into pieces.",
            )

    def check_bytes(self, name: str, size: int) -> None:
        """Refuse a file by its length.

        Raises:
            MediaError: It is empty or too large.
        """
        if size == 0:
            raise MediaError(f"{name} is empty.", "Copy or download it again.")
        if size > self.max_bytes:
            raise MediaError(
                f"{name} has {size:,} bytes; the limit is {self.max_bytes:,}.",
                "Shrink it, or raise the limit if you trust the file.",
            )


def name_of(reference: str) -> str:
    """What messages call a medium: its path, but never the whole of a `data:` URI."""
    return "the data URI" if reference[:5].lower() == "data:" else reference


def open_source(reference: str, limits: Limits) -> tuple[str, Path | io.BytesIO]:
    """Find what a reference stands for.

    Args:
        reference: A path, a `file://` address, or a `data:` URI.
        limits: The largest file.

    Returns:
        Its name for messages, and the path or the bytes.

    Raises:
        MediaError: There is no such file, it is empty or too large, or the reference is of a
            kind that is not opened, such as an http address.
    """
    if (name := name_of(reference)) != reference:
        return name, io.BytesIO(_data_uri(reference, limits))
    scheme = _scheme(reference)
    if scheme not in ("", "file"):
        raise MediaError(f"{scheme} addresses are not fetched: {reference}.", "Download the file.")
    try:
        path = _path(reference)
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character, or no such address
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{reference} cannot be opened: {reason}.", "Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{reference} is a folder.", "Name a file.")
    if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever, a device never end
        raise MediaError(f"{reference} is no regular file.", "Name a picture or clip on disk.")
    limits.check_bytes(reference, status.st_size)
    return reference, path


def file_state(reference: str) -> tuple[int, int] | None:
    """Size and time of change, in nanoseconds, of the file that `open_source` would open.

    Args:
        reference: A path, a `file://` address, or anything else.

    Returns:
        None where there is no file: it is missing, or the reference holds or is something else.
    """
    try:
        status = _path(reference).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, changed_at(status)


def changed_at(status: os.stat_result) -> int:
    """Time of change in nanoseconds, in 64 bits: file systems hold years that those do not."""
    return max(-_LATEST, min(status.st_mtime_ns, _LATEST))


def file_digest(reference: str | Path) -> str:
    """SHA-256 in hex of what a path or a `file://` address names, read in pieces.

    Raises:
        MediaError: It cannot be read.
    """
    try:
        path = reference if isinstance(reference, Path) else _path(reference)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = f"{reference} cannot be read: {error.strerror}."
        raise MediaError(reason, "Check the path.") from error


def _scheme(reference: str) -> str:
    """What stands before `://`, in small letters; nothing for a path."""
    scheme = _SCHEME.match(reference)
    return scheme[1].lower() if scheme else ""


def _path(reference: str) -> Path:
    """The path that a path or a `file://` address names.

    Raises:
        ValueError: The address is none.
    """
    is_address = _scheme(reference) == "file"
    return Path(url2pathname(urlsplit(reference).path) if is_address else reference)


def _data_uri(uri: str, limits: Limits) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise MediaError("The data URI has no comma.", "Write data:image/png;base64,…")
    in_base64 = head.lower().endswith(";base64")
    # Judged before a copy is made; four letters of base64 hold three bytes, padding up to two less.
    least = len(body) * 3 // 4 - 2 if in_base64 else len(body) // 3
    limits.check_bytes("the data URI", max(least, 1))
    try:
        data = base64.b64decode(body, validate=True) if in_base64 else unquote_to_bytes(body)
    except ValueError as error:  # binascii.Error is one; another is raised beyond ASCII
        raise MediaError(
            f"The data URI is not valid base64: {error}.", "Encode the file again."
        ) from error
    limits.check_bytes("the data URI", len(data))
    return data
