"""How far a run of `index` is, told to other processes by a small file in the library's folder.

The file names the process that writes it, so what a killed run leaves behind is not believed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from unite.whole import write_text

FILE = "progress.json"
EVERY = 0.5  # seconds between two writes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in files that were not known to be unchanged."""

    done: int
    total: int
    failed: int


@contextmanager
def published(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Tell others how far this process is, for the length of a block.

    Args:
        folder: The library's.
    """
    file = folder / FILE
    last = 0.0

    def publish(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY and now.done < now.total:
            return
        last = time.monotonic()
        with suppress(OSError):  # a full disk is for the vectors to report
            row = {**asdict(now), "process": os.getpid()}
            write_text(file, json.dumps(row), lasting=False)

    try:
        yield publish
    finally:
        file.unlink(missing_ok=True)


def progress_of(folder: Path) -> Progress | None:
    """How far the run is that writes to a library now; None where none does."""
    import psutil

    try:
        row = json.loads((folder / FILE).read_text(encoding="utf-8"))
        alive = psutil.pid_exists(row.pop("process"))
        return Progress(**row) if alive else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # no run, or one that has just ended
