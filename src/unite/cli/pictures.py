"""Small pictures of hits in a terminal: by its graphics protocol, else as coloured half blocks.

The library asks the terminal what it can do when it is imported, so it is imported only for one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, RenderableType

    from unite.stores.protocol import Record

WIDTH, HEIGHT = 12, 4  # character cells, which are twice as high as they are wide
CELL = 40  # pixels of a cell that are kept; a sharp picture on any terminal


def pictures(records: Sequence[Record], console: Console) -> list[RenderableType]:
    """A picture of each record, or its absence; none at all where nothing can be shown.

    Args:
        records: The hits.
        console: Where they will be printed.
    """
    if not _can_show(console):
        return []
    try:
        from textual_image.renderable import Image as Shown
    except ModuleNotFoundError:  # of the extra `terminal`
        return []
    found = [_thumbnail(record) for record in records]
    if not any(found):
        return []
    return ["" if it is None else Shown(it, width=WIDTH, height=HEIGHT) for it in found]


def _can_show(console: Console) -> bool:
    """Whether this is a terminal in colour; pipes, files and dumb terminals get words alone."""
    plain = os.environ.get("TERM") in ("dumb", "unknown")
    return console.is_terminal and console.color_system is not None and not plain


def _thumbnail(record: Record) -> Image | None:
    import PIL.ImageOps

    from unite.errors import UniteError
    from unite.library.thumbnails import thumbnails
    from unite.types import Clip

    if "image" not in record.modality and "video" not in record.modality:
        return None
    is_clip = "image" not in record.modality
    ref = Clip(record.path, record.start, record.end) if is_clip else record.path
    try:
        picture = thumbnails(ref)[0].convert("RGB")
    except (UniteError, OSError):  # the table still names the file
        return None
    return PIL.ImageOps.pad(picture, (WIDTH * CELL // 2, HEIGHT * CELL), color="black")
