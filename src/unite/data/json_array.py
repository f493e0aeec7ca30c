"""A JSON array read element by element: the released arrays are gigabytes.

ijson is as fast, but refuses NaN and long integers, which a line of JSONL may hold, and turns half
a surrogate pair into a question mark. The standard parser reads both forms alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from unite.errors import DataError

PIECE = 1 << 20
"""Characters read at a time."""

LONGEST = 1 << 26
"""An element of more characters is taken for a broken one; the whole file would be read for it."""

_SPACE = re.compile(r"[ \t\n\r]*")
_SIGN = re.compile(r"[ \t\n\r]*([,\]])")


def elements(path: Path, file: TextIO) -> Iterator[Any]:
    """Yield the elements of the array that a file holds.

    Args:
        path: For messages.
        file: At its start; its first sign is the opening bracket.

    Raises:
        DataError: The array does not parse; the elements before the fault have been yielded.
    """
    decoder, number = json.JSONDecoder(), 1
    text = file.read(PIECE)
    at, sign = text.index("[") + 1, "["
    while sign != "]":
        at = _skip(text, at)
        if sign == "[" and text.startswith("]", at):
            at += 1
            break
        try:
            value, end = decoder.raw_decode(text, at)
            end, after = _after(text, end)
        except (ValueError, RecursionError) as error:
            # Whether the element is broken or only not yet here, more of the text will tell.
            more = "" if len(text) - at > LONGEST else file.read(max(PIECE, len(text) - at))
            if not more:
                reason = getattr(error, "msg", error)
                raise DataError(f"{path} is not valid JSON in row {number}: {reason}.") from error
            text, at = text[at:] + more, 0
            continue
        yield value
        at, sign, number = end, after, number + 1
    while text:
        if _skip(text, at) < len(text):
            raise DataError(f"{path} is not valid JSON: something follows the array.")
        text, at = file.read(PIECE), 0


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int) -> tuple[int, str]:
    """The sign after an element; without it a number may go on in the next piece."""
    found = _SIGN.match(text, at)
    if found is None:
        raise ValueError("',' or ']' expected")
    return found.end(), found[1]
