"""Linked folders: followed, but nothing is read twice and no walk is endless."""

from __future__ import annotations

import os
from pathlib import Path

Found = tuple[Path, OSError | None]
"""A file, or a folder that cannot be listed and why."""


class Links:
    """Which linked folders a walk goes into: those it does not come by, each of them once.

    Without it a few folders that link to one another are read a hundred thousand times, and a
    picture beneath a folder and a link to that has two names.

    Args:
        root: Where the walk begins.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._taken = [self._root]

    def admit(self, folder: Path) -> bool:
        """Whether to go into a folder; a linked one is then taken."""
        if not folder.is_symlink():
            return True
        real = os.path.realpath(folder)
        if any(_within(one, real) for one in self._taken):  # above or at what is walked already
            return False
        if any(_within(real, one) and not self._is_hidden(real, one) for one in self._taken):
            return False
        self._taken.append(real)
        return True

    @staticmethod
    def _is_hidden(real: str, root: str) -> bool:
        """Whether a walk from a root passes a folder over that lies beneath it."""
        return any(name.startswith(".") for name in Path(real).relative_to(root).parts)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
