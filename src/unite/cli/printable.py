"""Words of others as a terminal may be given them."""

from __future__ import annotations

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"}


def printable(text: str) -> str:
    """The text without control characters other than the end of a line.

    A file's name or contents may hold sequences that recolour a terminal, move its cursor, or write
    to its clipboard.
    """
    return text.translate(_CONTROLS)
