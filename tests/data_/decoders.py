"""Decoders that some files are too much for; apart from their test, because workers import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from unite.data import check
from unite.types import Clip


def look(reference: str | Clip) -> str | None:
    """Hang, die, or note each visit in a file beside the medium, as its name says."""
    path = reference if isinstance(reference, str) else reference.path
    with Path(path).parent.joinpath("visits").open("a", encoding="utf-8") as file:
        file.write(f"{Path(path).name}\n")
    while "endless" in path:
        pass
    if "deadly" in path:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGSEGV)
    return check.look(reference)
