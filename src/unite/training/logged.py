"""The lines of a run's `metrics.jsonl`, as they are read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Give what was logged, the oldest first; a line that a full disk tore is left out.

    Args:
        path: The file; one that is not there has no lines.
    """
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
