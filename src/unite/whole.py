"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Give another name to write under, and rename what was written there at the end of a block.

    A kill leaves what was there before; an error also removes the draft. Several may write one file
    at once: each has a name of its own, and the last one's content stays.

    Args:
        path: The file; an older one is replaced.
        lasting: See it on disk before it is renamed, for else a power cut may leave an empty file;
            needless where the file tells what is soon untrue, or is made again if damaged.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `.` has no name; a link is replaced itself
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield draft
        if lasting:
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            draft.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Write a text file whole or not at all; see `whole`."""
    with whole(path, lasting=lasting) as draft:
        draft.write_text(text, encoding="utf-8")
