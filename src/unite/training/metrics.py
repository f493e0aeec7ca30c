"""The figures of the loss while a run goes on, in all and for each pair of modalities."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from unite.data.mixture import kind_label
from unite.loss.gather import meeting_device, world_size
from unite.loss.module import MamclLoss

_KINDS = 64
_NAMES = ("loss", "accuracy", "negatives", "singletons", "duplicates")


class Figures:
    """Sums over rows of all processes since they were last taken.

    Loss, accuracy against the batch, effective negatives (rivals a row), share of rows without
    any, and duplicates left out a row.
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(_KINDS, 1 + len(_NAMES))
        self.latest: dict[str, dict[str, float]] = {}

    def add(self, loss: MamclLoss) -> None:
        """Take in the rows of the loss's last batch."""
        contrast, kinds_A = loss.last, loss.kinds_A
        assert contrast is not None
        assert kinds_A is not None
        rows_6A = torch.stack(
            [
                torch.ones_like(contrast.row_loss_A),
                contrast.row_loss_A,
                contrast.correct_A.float(),
                contrast.rivals_A.float(),
                (contrast.rivals_A == 0).float(),
                contrast.duplicates_A.float(),
            ]
        ).cpu()
        kinds_A = kinds_A.cpu()
        for kind in kinds_A.unique().tolist():
            self._sums[kind] += rows_6A[:, kinds_A == kind].sum(1)

    def take(self) -> dict[str, dict[str, float]]:
        """The means of `all` rows and of each pair of modalities; all processes must ask."""
        sums = self._sums
        if world_size() > 1:
            sums = sums.to(meeting_device())
            dist.all_reduce(sums)
            sums = sums.cpu()
        self._sums = torch.zeros_like(sums)
        seen = sums[:, 0].nonzero()[:, 0].tolist()
        found = {kind_label(kind): sums[kind] for kind in seen}
        found = {"all": sums.sum(0), **found} if found else {}
        self.latest = {
            label: {
                name: float(value / sums[0]) for name, value in zip(_NAMES, sums[1:], strict=True)
            }
            for label, sums in found.items()
        }
        return self.latest


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Appends what the trainer logs, and the figures of each pair of modalities, to a file."""

    def __init__(self, path: Path, figures: Figures, pairs_per_step: int) -> None:
        self.path = path
        self.figures = figures
        self.pairs_per_step = pairs_per_step
        self._since = (time.monotonic(), 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Rates count from here, also in a run that goes on; a torn line is ended."""
        self._since = (time.monotonic(), state.global_step)
        if state.is_world_process_zero and self.path.exists():
            _end_last_line(self.path)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write one line."""
        if not state.is_world_process_zero:
            return
        now, step = time.monotonic(), state.global_step
        seconds, steps = now - self._since[0], step - self._since[1]
        line = {"step": step, **(logs or {}), "pairs": self.figures.latest}
        if steps and seconds:
            line["examples_per_second"] = round(steps * self.pairs_per_step / seconds, 1)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._since = (now, step)


def _end_last_line(path: Path) -> None:
    with path.open("ab+") as file:
        size = file.tell()
        file.seek(max(size - 1, 0))
        if size and file.read() != b"\n":
            file.write(b"\n")
