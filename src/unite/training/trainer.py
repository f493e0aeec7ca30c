"""The sentence-transformers trainer, fed with our batches and saving whole checkpoints only."""

from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import DistributedType
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformerTrainer
from torch import Tensor, nn
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import TrainerCallback

from unite.errors import TrainingError
from unite.loss.gather import meeting_device, world_size
from unite.loss.module import MamclLoss
from unite.training.chunked import ChunkedStep, Hooks
from unite.training.metrics import Figures
from unite.training.sharded import fill, make_whole, trained, whole

_KEPT = 2
_TEMPERATURE = "log_temperature"
_OF_TORCHS_WRITER = ("PytorchStreamWriter", "inline_container", "iostream")


@dataclass
class StepNumber:
    """The trainer's collator: its batch is the number of a batch of the plan."""

    valid_label_columns: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, int]:
        """Rows come one at a time."""
        return dict(rows[0])


class Rhythm(TrainerCallback):  # type: ignore[misc]
    """Has a run that goes on save and log as it is told now; its checkpoint tells how it began."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The state is what the checkpoint made of it."""
        state.save_steps, state.logging_steps = args.save_steps, args.logging_steps


class UniteTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """Runs a planned sequence of batches.

    The dataset holds the numbers of the plan's batches, one for each process, in order: a resumed
    run skips those already done and goes on with the plan.

    Args:
        step: Runs one batch.
        figures: Takes the figures of each.
    """

    loss: MamclLoss

    def __init__(self, *args: Any, step: ChunkedStep, figures: Figures, **options: Any) -> None:
        super().__init__(*args, **options)
        self.model.base_model_prefix = "0"  # accelerate looks there for what it shards last
        self.step = step
        self.figures = figures

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Run one batch of the plan; the trainer's own step would want it whole."""
        model.train()
        options = {}
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            options["scale_wrt_gas"] = False  # it is scaled below, once
        hooks = Hooks(
            backward=functools.partial(self.accelerator.backward, **options),
            no_sync=functools.partial(self._keeping, model),
            to_device=self._prepare_inputs,
            equal_forwards=self.accelerator.distributed_type == DistributedType.FSDP,
        )
        scale = 1 / self.current_gradient_accumulation_steps
        with self.compute_loss_context_manager():
            loss: Tensor = self.step.run(model, inputs["step"], hooks, scale=scale)
        self._refuse_not_finite("loss", float(loss))
        self.figures.add(self.loss)
        reported: Tensor = scale * loss
        return reported

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """What weight decay shrinks: it would pull a learned temperature towards 1."""
        names = super().get_decay_parameter_names(model)
        return [name for name in names if name != _TEMPERATURE]

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """What the trainer asks for before each step: it is taken only if the norm is finite."""
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None:  # DeepSpeed may not know it
            self._refuse_not_finite(
                "gradient", float(whole(norm) if isinstance(norm, Tensor) else norm)
            )
        return norm

    def _refuse_not_finite(self, what: str, value: float) -> None:
        """End the run on all processes if the number of one is not finite."""
        bad = not math.isfinite(value)
        if world_size() > 1:
            any_bad = torch.tensor([int(bad)], device=meeting_device())
            dist.all_reduce(any_bad, op=dist.ReduceOp.MAX)
            bad = bool(any_bad)
        if bad:
            raise TrainingError(
                f"The {what} of step {self.state.global_step + 1} is not a finite number; the step "
                "would spoil every weight. Checkpoints from before it stay.",
                "If a picture or clip is at fault, mend it and --resume. Otherwise begin in "
                "another directory with a smaller optimiser.learning_rate.",
            )

    @contextmanager
    def _keeping(self, model: nn.Module) -> Iterator[None]:
        """Within it gradients stay with their process, and DeepSpeed takes no step."""
        state = self.accelerator.gradient_state
        before = state.sync_gradients
        state._set_sync_gradients(False)
        try:
            with self.accelerator.no_sync(model):
                yield
        finally:
            state._set_sync_gradients(before)

    def train(self, *args: Any, **options: Any) -> Any:
        """Train; the network is whole again at the end."""
        outcome = super().train(*args, **options)
        make_whole(self.model)
        return outcome

    def get_batch_sampler(self, dataset: Any, batch_size: int, **_: Any) -> BatchSampler:
        """The numbers as they come, one at a time."""
        return BatchSampler(SequentialSampler(dataset), batch_size, drop_last=True)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the figures of the loss with the rest, so that every tracker has them."""
        figures = self.figures.take().get("all", {})
        found = {f"batch_{name}": value for name, value in figures.items() if name != "loss"}
        super().log({**logs, **found}, start_time)

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
        except (OSError, SafetensorError, RuntimeError) as error:
            if self.is_world_process_zero():
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, RuntimeError) and not any(
                word in str(error) for word in _OF_TORCHS_WRITER
            ):
                raise
            raise TrainingError(
                f"The checkpoint of step {self.state.global_step} cannot be written to {output}: "
                f"{error}.",
                "Checkpoints from before it stay. Make room and --resume.",
            ) from error
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
        temperature = weights.pop(_TEMPERATURE, None)
        if temperature is not None:
            self.loss.log_temperature.data.copy_(temperature)
        missing = {name for name, part in encoder.named_parameters() if part.requires_grad}
        missing -= set(weights)
        if missing:
            raise RuntimeError(f"{checkpoint_path} lacks {sorted(missing)[:3]}")
        fill(encoder, weights)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained parameters only: what is frozen is in the starting model."""
        from safetensors.torch import save_file

        weights = trained(self.model[0].encoder)
        if self.loss.bounds is not None:
            weights[_TEMPERATURE] = self.loss.log_temperature.detach().cpu()
        if self.args.should_save:
            directory = Path(output_dir or self.args.output_dir)
            directory.mkdir(parents=True, exist_ok=True)
            save_file(weights, directory / "trained.safetensors")


def whole_checkpoints(output: Path) -> list[Path]:
    """The checkpoints of a run, oldest first; unfinished ones have another name."""
    found = output.glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _barrier() -> None:
    if world_size() > 1:
        dist.barrier()
