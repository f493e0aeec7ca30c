"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give another name to write under, and rename what was written there at the end of a block.

    A kill leaves what was there before; an error also removes the draft.

    Args:
        path: The file; an older one is replaced.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `.` has no name; a link is replaced itself
    draft = path.with_name(f".{path.name}.partial")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            draft.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
