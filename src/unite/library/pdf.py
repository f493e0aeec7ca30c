"""The words of a PDF, page by page, as far as they lie in it as text."""

from __future__ import annotations

import logging
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unite.errors import ItemError

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

PAGES = 2000
"""Most pages that are read."""

BYTES = 1 << 30
"""Most bytes of a PDF; pypdf reads it into memory whole."""

_FAULTS = (
    # what pypdf raises for damaged files beside its own errors
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Pages:
    """The text of each page from the first on, and what is missing."""

    texts: list[str]
    note: str | None = None


def read_pdf(path: str, seconds: float) -> Pages:
    """Read the text of a PDF.

    Args:
        path: The file.
        seconds: After so long the remaining pages are left out, and that is noted.

    Raises:
        ItemError: It is encrypted, damaged, too large, or no PDF.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every oddity of a file
    try:
        size = Path(path).stat().st_size
        if size > BYTES:
            raise ItemError(f"The PDF has {size:,} bytes; at most {BYTES:,} are read.", "Split it.")
        reader = PdfReader(path)
        _unlock(reader)
        count = len(reader.pages)
    except (PyPdfError, *_FAULTS) as error:
        raise ItemError(f"The PDF cannot be read: {error}.", "Is it whole?") from error
    end = time.monotonic() + seconds
    texts: list[str] = []
    lost: list[int] = []
    for number in range(min(count, PAGES)):
        if time.monotonic() > end:
            break
        try:
            texts.append(_text(reader.pages[number]))
        except (PyPdfError, *_FAULTS):
            texts.append("")
            lost.append(number + 1)
    return Pages(texts, _note(texts, lost, count))


def _unlock(reader: PdfReader) -> None:
    """Open what anybody may read: a PDF that is encrypted only against changes."""
    from pypdf.errors import DependencyError

    if not reader.is_encrypted:
        return
    try:
        unlocked = bool(reader.decrypt(""))
    except DependencyError:  # AES needs the cryptography package
        unlocked = False
    if not unlocked:
        raise ItemError("The PDF is encrypted.", "Save a copy of it without a password.")


def _text(page: PageObject) -> str:
    """A page's words; half a surrogate pair, which no store can hold, becomes a question mark."""
    return page.extract_text().encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _note(texts: list[str], lost: list[int], count: int) -> str | None:
    notes = []
    if len(texts) < count:
        notes.append(f"{len(texts)} of {count} pages were read")
    if lost:
        notes.append(f"{len(lost)} pages cannot be read, the first is {lost[0]}")
    if not any(text.strip() for text in texts):
        notes.append("its pages hold pictures only, no text")
    return "; ".join(notes) or None
