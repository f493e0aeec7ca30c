"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path with `~` written out; that of a user who does not exist stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError there


def absolute(path: str | Path) -> str:
    """A path from the root, without `~`, `.` and `..`; links are not followed."""
    return os.path.normpath(expanded(path).absolute())
