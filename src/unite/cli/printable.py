"""Words of others as a terminal may be given them."""

from __future__ import annotations

from collections.abc import Mapping

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"}
_KINDS = 8


def printable(text: str) -> str:
    """The text without control characters other than the end of a line.

    A file's name or contents may hold sequences that recolour a terminal, move its cursor, or write
    to its clipboard.
    """
    return text.translate(_CONTROLS)


def skipped(kinds: Mapping[str, int]) -> str:
    """A line on files of unsupported kinds, by how many there are of each ending."""
    told = [f"{number} {kind}" for kind, number in kinds.items()]
    more = ", …" if len(told) > _KINDS else ""
    return printable(f"skipped by kind: {', '.join(told[:_KINDS])}{more}")
