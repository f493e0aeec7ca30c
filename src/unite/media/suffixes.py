"""What a file is, by its name or by its first bytes."""

from __future__ import annotations

from pathlib import PurePath

_PHONES = (".heic", ".heif", ".hif")
IMAGES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", *_PHONES)
)
VIDEOS = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg"))
TEXTS = frozenset((".txt", ".md"))

_SIGNS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
    b"\x1aE\xdf\xa3": ".mkv",
    b"\x00\x00\x01\xba": ".mpg",
}
_RIFF = {b"WEBP": ".webp", b"AVI ": ".avi"}
_BOXES = {b"moov", b"mdat", b"free", b"skip", b"wide"}  # how old QuickTime files begin
_STILLS = {  # brands of ISO media files
    b"avif": ".avif",
    b"avis": ".avif",
    b"heic": ".heic",
    b"heix": ".heic",
    b"hevc": ".heic",
    b"hevx": ".heic",
    b"mif1": ".heif",
    b"msf1": ".heif",
}


def medium_of(name: str) -> str | None:
    """``"image"``, ``"video"``, or None where the name has no such ending."""
    suffix = PurePath(name).suffix.lower()
    if suffix in IMAGES:
        return "image"
    return "video" if suffix in VIDEOS else None


def ending_of(path: PurePath) -> str:
    """What a file is counted as where its kind is not read: its ending, or that it has none."""
    return path.suffix.lower() or "no ending"


def suffix_of(data: bytes) -> str:
    """The ending that a file of these bytes should have; empty if they are of no known form."""
    if data[4:8] == b"ftyp":
        return _STILLS.get(data[8:12], ".mp4")
    if data[4:8] in _BOXES:
        return ".mov"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    return next((suffix for sign, suffix in _SIGNS.items() if data.startswith(sign)), "")
