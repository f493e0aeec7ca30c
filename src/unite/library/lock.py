"""One writer at a time: a lock file that the system releases even when its holder is killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unite.errors import LibraryError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file for the length of a block.

    Args:
        path: The lock file; made when missing, never removed.

    Raises:
        LibraryError: Another process holds it, or it cannot be opened.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be opened: {error.strerror or error}.",
            f"Nothing was changed. See that you may write in {path.parent}.",
        ) from error
    with file:
        try:
            _seize(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise LibraryError(
                f"Another process is writing to {path.parent}.", "Wait until it has finished."
            ) from error
        yield


if sys.platform == "win32":

    def _seize(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _seize(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
