"""A decoder that some files are too much for; apart from its test, because workers import it."""

from __future__ import annotations

import os
import signal
from typing import Any

from unite.model.vision_cache import Sight
from unite.types import Clip


class Deadly(Sight):
    """Dies of one file and never returns from another."""

    def __call__(self, reference: str | Clip) -> Any:
        if "deadly" in str(reference):
            os.kill(os.getpid(), signal.SIGKILL)
        while "endless" in str(reference):
            pass
        return super().__call__(reference)
