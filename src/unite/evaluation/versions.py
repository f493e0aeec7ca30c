"""Versions of what shapes vectors."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("unite-embed", "torch", "transformers", "numpy", "pillow", "av")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of what shapes vectors."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
