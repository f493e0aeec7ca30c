"""Small pictures of what a library holds, for contact sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unite.types import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES = 4
"""Pictures that stand for a clip."""


def thumbnails(ref: str | Clip) -> list[Image]:
    """The picture behind a path, or evenly spread frames of a clip.

    Args:
        ref: A path of an image, or a clip.

    Raises:
        MediaError: It cannot be opened.
    """
    if isinstance(ref, str):
        from unite.media.image import open_image

        return [open_image(ref).image]
    import PIL.Image

    from unite.media.video import FramePolicy, read_clip

    frames = read_clip(ref, FramePolicy(nframes=FRAMES)).frames_THWC
    return [PIL.Image.fromarray(frame) for frame in frames]
