"""What a file is, by its name."""

from __future__ import annotations

from pathlib import PurePath

IMAGES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"])
VIDEOS = frozenset([".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg"])


def medium_of(name: str) -> str | None:
    """``"image"``, ``"video"``, or None where the name has no such ending."""
    suffix = PurePath(name).suffix.lower()
    if suffix in IMAGES:
        return "image"
    return "video" if suffix in VIDEOS else None
