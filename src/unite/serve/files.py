"""Files of the library as browsers may have them: known kinds shown, all else only saved."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from starlette.responses import FileResponse

from unite.library.scan import Kind, kind_of
from unite.serve.faults import RequestError
from unite.stores.protocol import Record

Shown = Literal["image", "video", "text", "other"]

# A type that a browser runs, such as SVG or HTML, must never stand here.
_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".hif": "image/heif",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
_SHOWN: dict[Kind | None, Shown] = {Kind.IMAGE: "image", Kind.VIDEO: "video", Kind.TEXT: "text"}


def shown_as(record: Record) -> Shown:
    """How a page shows a record."""
    if "image" not in record.modality and "video" not in record.modality:
        return "text"
    return _SHOWN.get(kind_of(record.path), "other")


def media_response(record: Record) -> FileResponse:
    """The file of a record, whole or the ranges that are asked for.

    Raises:
        RequestError: There is no such file any more.
    """
    path = Path(record.path)
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:
        raise gone() from error
    if not stat.S_ISREG(facts.st_mode):
        raise gone()
    known = _TYPES.get(path.suffix.lower())
    return FileResponse(
        path,
        stat_result=facts,
        media_type=known or "application/octet-stream",
        filename=path.name,
        content_disposition_type="inline" if known else "attachment",
        headers={
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-cache",
        },
    )


def gone() -> RequestError:
    """The answer where a file has left its place."""
    return RequestError(
        404, "The file is no longer where it was.", "Run `unite index`.", code="file_gone"
    )
