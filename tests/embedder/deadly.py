"""A model that its process does not survive; apart from its test, because workers import it."""

from __future__ import annotations

import os
import signal
from typing import Any

from unite.embedder.seats import DeviceEncoder


class DeadlyEncoder(DeviceEncoder):
    def __call__(self, batch: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
