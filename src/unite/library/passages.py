"""Texts cut into passages, each short enough for one vector to tell what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator

PASSAGE = 1000
"""Longest passage in characters."""


def passages(text: str, longest: int = PASSAGE) -> Iterator[str]:
    """Split a text at blank lines, joining short paragraphs and cutting long ones.

    Args:
        text: The text.
        longest: Most characters of a passage.
    """
    open_passage = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for piece in _cut(paragraph.strip(), longest):
            joined = f"{open_passage}\n\n{piece}" if open_passage else piece
            if len(joined) > longest:
                yield open_passage
                joined = piece
            open_passage = joined
    if open_passage:
        yield open_passage


def _cut(paragraph: str, longest: int) -> Iterator[str]:
    """Cut a paragraph at the end of a sentence, else at a space, else anywhere."""
    while len(paragraph) > longest:
        head = paragraph[: longest + 1]
        ends = [match.end() for match in re.finditer(r"[.!?。！？]\s", head)]
        at = ends[-1] if ends else head.rfind(" ") + 1 or longest
        yield paragraph[:at].strip()
        paragraph = paragraph[at:].strip()
    if paragraph:
        yield paragraph
