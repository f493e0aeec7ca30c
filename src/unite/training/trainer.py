"""The sentence-transformers trainer, fed with our batches and saving whole checkpoints only."""

from __future__ import annotations

import json
import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sentence_transformers import SentenceTransformerTrainer
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import TrainerCallback

from unite.loss.gather import world_size
from unite.loss.module import MamclLoss
from unite.types import Modality

_KEPT = 2


class UniteTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """Runs a planned sequence of batches.

    The dataset holds row numbers in their planned order, so batches are taken as they come:
    a resumed run skips the batches already seen and goes on with the plan.
    """

    loss: MamclLoss

    def collect_features(self, inputs: dict[str, Any]) -> tuple[list[dict[str, Any]], None]:
        """The collator made one joint column; there is nothing to take apart."""
        return [inputs], None

    def get_batch_sampler(self, dataset: Any, batch_size: int, **_: Any) -> BatchSampler:
        """Batches in the order of the plan."""
        return BatchSampler(SequentialSampler(dataset), batch_size, drop_last=True)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: its card describes text pairs and reads the training data to do so."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write under a temporary name, rename when all processes are done: never half a one."""
        output = Path(self.args.output_dir)
        partial = output / ".partial"
        if self.is_world_process_zero():
            shutil.rmtree(partial, ignore_errors=True)
        _barrier()
        self.args.output_dir = str(partial)
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir = str(output)
        _barrier()
        if self.is_world_process_zero():
            (written,) = partial.glob("checkpoint-*")
            written.replace(output / written.name)
            partial.rmdir()
            for stale in whole_checkpoints(output)[:-_KEPT]:
                shutil.rmtree(stale)

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        """Fill the network in place; the trainer's own loader would open a second model."""
        from safetensors.torch import load_file

        weights = load_file(Path(checkpoint_path) / "trained.safetensors")
        encoder = self.model[0].encoder
        missing = {name for name, part in encoder.named_parameters() if part.requires_grad}
        missing -= set(weights)
        if missing:
            raise RuntimeError(f"{checkpoint_path} lacks {sorted(missing)[:3]}")
        encoder.load_state_dict(weights, strict=False)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write the trained parameters only: what is frozen is in the starting model."""
        from safetensors.torch import save_file

        directory = Path(output_dir or self.args.output_dir)
        directory.mkdir(parents=True, exist_ok=True)
        encoder = self.model[0].encoder
        trained = {
            name: part.detach().cpu().contiguous()
            for name, part in encoder.named_parameters()
            if part.requires_grad
        }
        save_file(trained, directory / "trained.safetensors")


def whole_checkpoints(output: Path) -> list[Path]:
    """The checkpoints of a run, oldest first; unfinished ones have another name."""
    found = output.glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Appends what the trainer logs, and figures of the loss, to `metrics.jsonl`.

    Figures are means since the last line over this process's rows, in all and for each
    target modality: loss, accuracy against the batch, rivals a row, rows without any, and
    duplicates left out.
    """

    def __init__(self, path: Path, loss: MamclLoss, batch_size: int) -> None:
        self.path = path
        self.loss = loss
        self.batch_size = batch_size
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
        self._since = (time.monotonic(), 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add up the figures of the step."""
        contrast, modality_A = self.loss.last, self.loss.target_modality_A
        if contrast is None or modality_A is None:
            return
        rows = torch.stack(
            [
                torch.ones_like(contrast.row_loss_A),
                contrast.row_loss_A,
                contrast.correct_A.float(),
                contrast.rivals_A.float(),
                (contrast.rivals_A == 0).float(),
                contrast.duplicates_A.float(),
            ]
        )
        for code in sorted(set(modality_A.tolist())):
            sums = self._sums[Modality(code).label]
            for place, value in enumerate(rows[:, modality_A == code].sum(1).tolist()):
                sums[place] += value

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write one line."""
        if not state.is_world_process_zero:
            return
        now, step = time.monotonic(), state.global_step
        seconds, steps = now - self._since[0], step - self._since[1]
        names = ("loss", "accuracy", "rivals", "singletons", "duplicates")
        targets = {
            label: {name: value / sums[0] for name, value in zip(names, sums[1:], strict=True)}
            for label, sums in sorted(self._sums.items())
        }
        line = {"step": step, **(logs or {}), "targets": targets}
        if steps and seconds:
            line["examples_per_second"] = round(steps * self.batch_size / seconds, 1)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._sums.clear()
        self._since = (now, step)


def _barrier() -> None:
    if world_size() > 1:
        dist.barrier()
