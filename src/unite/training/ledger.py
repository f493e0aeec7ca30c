"""Bad samples of a run: reported, counted, and too many of them stop it."""

from __future__ import annotations

import json
from pathlib import Path

from unite.errors import DataError, ItemError

_FIRST = 100
"""A share is judged over at least so many samples: one bad among the first two is no verdict."""


class Ledger:
    """Appends each bad sample to a file.

    Args:
        path: JSONL; each process has its own.
        max_share: Largest share of bad ones among the samples seen since the run began or went on.
    """

    def __init__(self, path: Path, max_share: float) -> None:
        self.path = path
        self.max_share = max_share
        self.seen = 0
        self.bad = 0

    def saw(self, count: int) -> None:
        """Count samples, the bad ones too.

        Raises:
            DataError: Too many of them were bad.
        """
        self.seen += count
        if self.bad > self.max_share * max(self.seen, _FIRST):
            raise DataError(
                f"{self.bad} of {self.seen} samples cannot be read (see {self.path}); "
                f"at most {self.max_share:.1%} may be bad.",
                "Mend them (`unite data check` finds all), or raise data.max_bad_share.",
            )

    def report(self, step: int, row: int, source: str, error: ItemError, spare: int) -> None:
        """Note a bad sample and the row that takes its place."""
        self.bad += 1
        line = {
            "step": step,
            "row": row,
            "source": source,
            "reason": str(error),
            "filled_by": spare,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
