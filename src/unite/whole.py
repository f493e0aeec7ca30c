"""A file that is there whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

LEFT_BEHIND = 24 * 3600.0
"""Seconds after which a draft that nobody has written to is a killed writer's."""

_LONGEST = 255 - len("..01234567.partial")
"""Bytes of a name that leave room for the rest of a draft's."""


@contextmanager
def whole(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Give another name to write under, and rename what was written there at the end of a block.

    A kill leaves what was there before, and a hidden draft, which a writer of a later day removes;
    an error removes it. Several may write one file at once: each has a draft of its own, and the
    last one's content stays.

    Args:
        path: The file; an older one is replaced.
        lasting: See it on disk before it is renamed, for else a power cut may leave an empty file;
            needless where the file tells what is soon untrue, or is made again if damaged.
    """
    if path.name in ("", ".."):
        path = Path(os.path.abspath(path))  # noqa: PTH100 - a link is replaced itself
    draft = path.with_name(f"{_beginning(path)}{secrets.token_hex(4)}.partial")
    try:
        yield draft
        if lasting:
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            draft.unlink(missing_ok=True)
        raise
    if lasting:
        _sweep(path)


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Write a text file whole or not at all; see `whole`."""
    with whole(path, lasting=lasting) as draft:
        draft.write_text(text, encoding="utf-8")


def assert_writable(folder: Path) -> None:
    """Make a folder and see that files can be made in it, before work is done for one.

    Raises:
        OSError: They cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def drafts(path: Path) -> Iterator[Path]:
    """What killed writers of a file left, and what others write now."""
    yield from path.parent.glob(f"{glob.escape(_beginning(path))}{'[0-9a-f]' * 8}.partial")


def _beginning(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:_LONGEST])}."


def _sweep(path: Path) -> None:
    for draft in drafts(path):
        with suppress(OSError):  # another writer may have removed it
            if time.time() - draft.stat().st_mtime > LEFT_BEHIND:
                draft.unlink()
