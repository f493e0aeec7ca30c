"""The trainer of one stage: adapters, loss, feed and optimiser as a recipe wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.mixture import Plan
from unite.data.store import PairStore
from unite.loss.gather import rank, world_size
from unite.model.checkpoint import Model
from unite.model.pixel_cache import PixelCache
from unite.model.policy import Policy
from unite.model.preprocess import Preprocessor, media_of
from unite.model.vision_cache import Sight, VisionCache
from unite.training.recipe import Recipe
from unite.types import Item, Pair

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from unite.loss.module import MamclLoss
    from unite.training.feed import Feed

Progress = Callable[[str, int, int], None]
Objective = Callable[["nn.Module", Recipe], "MamclLoss"]
"""Makes a run's loss of the network and the recipe. One that is also a callback of the trainer is
told of every step."""


def contrastive(network: nn.Module, recipe: Recipe) -> MamclLoss:
    """MAMCL or InfoNCE, as the recipe has it."""
    from unite.loss.module import MamclLoss

    return MamclLoss(network, **recipe.loss.model_dump(exclude={"hard_negatives"}))


def fit(
    recipe: Recipe,
    output: Path,
    model: Model,
    pairs: PairStore,
    plan: Plan,
    *,
    resume: bool,
    progress: Progress,
    objective: Objective = contrastive,
) -> None:
    """Train a model in place: in the first process its encoder then holds the trained weights.

    Adapters are merged in fp32.

    Args:
        recipe: What to do.
        output: The run directory: checkpoints, metrics, bad samples.
        model: What training starts from.
        pairs: All pairs.
        plan: The rows of every batch.
        resume: Go on from the newest whole checkpoint, if there is one.
        progress: Told what is being done, how far it is and the whole.
        objective: Makes the loss.

    Raises:
        DataError: Too many samples cannot be read.
        TrainingError: A loss or a gradient is not finite, or a checkpoint cannot be written.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback, set_seed

    from unite.model.adapters import add_adapters
    from unite.model.transformer import wrap
    from unite.training.chunked import ChunkedStep
    from unite.training.metrics import Figures, MetricsFile
    from unite.training.trainer import Rhythm, StepNumber, UniteTrainer, whole_checkpoints

    arguments = _arguments(recipe, output, plan)  # joins the processes, which decoding waits for
    lora, adapters = recipe.model.lora, None
    set_seed(recipe.optimiser.seed)  # the trainer does so when the adapters are there already
    if lora is not None:
        adapters = add_adapters(model.encoder, lora.rank, lora.alpha, lora.dropout)
    if recipe.run.gradient_checkpointing:
        model.encoder.save_memory()
    wrapped = wrap(model)
    loss = objective(wrapped, recipe)
    figures = Figures()
    vision_cache = None
    if recipe.data.vision_cache is not None:
        policy = training_policy(recipe, model)
        vision_cache = VisionCache.of(model, policy, recipe.data.place(recipe.data.vision_cache))
    device = arguments.device
    pairs_per_step = plan.rows.shape[1] * recipe.optimiser.accumulation
    with _feed(recipe, output, model, pairs, plan, device, vision_cache, progress) as feed:
        trainer = UniteTrainer(
            model=wrapped,
            args=arguments,
            train_dataset=Dataset.from_dict(
                {"step": [step for step in range(len(plan.rows)) for _ in range(world_size())]}
            ),
            loss=loss,
            data_collator=StepNumber(),
            callbacks=[
                Rhythm(),
                MetricsFile(output / "metrics.jsonl", figures, pairs_per_step),
                _bar(progress),
                *([loss] if isinstance(loss, TrainerCallback) else []),
            ],
            optimizers=(_optimiser(recipe, loss), None),
            step=ChunkedStep(
                loss,
                feed,
                keep_bytes=recipe.run.keep_bytes,
                frozen_vision=lora is not None,
                vision_cache=vision_cache,
            ),
            figures=figures,
        )
        trainer.remove_callback(PrinterCallback)
        checkpoints = whole_checkpoints(output) if resume else []
        trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    if adapters is not None and rank() == 0:
        # As it is saved: bf16 would round what was learned, and a GPU may not have the room.
        for part in model.encoder.parameters():  # a module that was sharded refuses to be moved
            part.data = part.data.to("cpu", torch.float32)
        adapters.merge_and_unload()
    model.encoder.eval()


def _bar(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Bar(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps)

    return Bar()


def training_policy(recipe: Recipe, model: Model) -> Policy:
    """The model's policy with the run's own limits."""
    policy = model.policy.with_frames(recipe.data.frames)
    return replace(policy, max_tokens=recipe.data.max_tokens or policy.max_tokens)


def sides_of(pairs: Iterable[Pair]) -> Iterator[Item]:
    """Every item of some pairs."""
    for pair in pairs:
        yield from (pair.query, pair.candidate, *pair.negatives)


def _feed(
    recipe: Recipe,
    output: Path,
    model: Model,
    pairs: PairStore,
    plan: Plan,
    device: Any,
    vision_cache: VisionCache | None,
    progress: Progress,
) -> Feed:
    from unite.model.cost import Costs
    from unite.training.batches import PairCollator
    from unite.training.feed import Feed
    from unite.training.ledger import Ledger

    preprocessor = Preprocessor(model.tokenizer, training_policy(recipe, model))
    see: Any = Sight(preprocessor.policy, preprocessor.limits, vision_cache)
    costs = Costs(preprocessor.policy, preprocessor.limits)
    if recipe.data.keep_decoded:
        cache = _decoded(recipe, preprocessor, pairs, progress)
        see = cache.see
        costs = Costs(preprocessor.policy, preprocessor.limits, cache.grid_of)
    ledger = Ledger(output / f"bad_samples-{rank()}.jsonl", recipe.data.max_bad_share)
    return Feed(
        plan,
        pairs,
        pairs.kind_N,
        pairs.sizes,
        PairCollator(preprocessor, recipe.loss.hard_negatives),
        costs,
        ledger,
        see,
        chunk_tokens=recipe.run.chunk_tokens,
        workers=0 if recipe.data.keep_decoded else recipe.run.workers,
        seconds=recipe.run.decode_seconds,
        device=device,
    )


def _arguments(recipe: Recipe, output: Path, plan: Plan) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    optimiser, run = recipe.optimiser, recipe.run
    steps = len(plan.rows) // optimiser.accumulation
    released = optimiser.released_processes or 1
    return SentenceTransformerTrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=1,  # a batch of the plan is one row to the trainer
        gradient_accumulation_steps=optimiser.accumulation,
        max_steps=steps,
        learning_rate=optimiser.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(optimiser.warmup * steps),
        weight_decay=optimiser.weight_decay,
        # The released gradient is the true one over the number of processes. Clipping it at
        # 1 and dividing by its root of squares plus 1e-8 is the same for the true one at so
        # many times both.
        max_grad_norm=released * optimiser.max_grad_norm,
        adam_epsilon=released * optimiser.epsilon,
        optim="adamw_torch",
        seed=optimiser.seed,
        bf16=False,
        use_cpu=not _has_gpu(),
        logging_steps=run.log_every,
        logging_nan_inf_filter=False,  # it would log another number in its place
        save_steps=run.save_every,
        save_strategy="steps",
        eval_strategy="no",
        report_to=list(run.trackers) or ["none"],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        dataloader_drop_last=True,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
    )


def _optimiser(recipe: Recipe, network: nn.Module) -> Optimizer | None:
    """Muon with AdamW if the recipe asks for it; None leaves AdamW to the trainer."""
    from unite.training.optimiser import MuonAdamW

    rates = recipe.optimiser
    if not rates.muon_learning_rate:
        return None
    return MuonAdamW(
        network,
        learning_rate=rates.learning_rate,
        muon_learning_rate=rates.muon_learning_rate,
        weight_decay=rates.weight_decay,
        epsilon=rates.epsilon,
    )


def _decoded(
    recipe: Recipe, preprocessor: Preprocessor, pairs: Iterable[Pair], progress: Progress
) -> PixelCache:
    """Decode all media once; the first process does it, the others wait and read."""
    import torch.distributed as dist

    cache = PixelCache(recipe.data.place(".decoded"), preprocessor)
    if rank() == 0:
        cache.fill(
            media_of(sides_of(pairs)),
            progress=lambda done, total: progress("decoding", done, total),
        )
    if world_size() > 1:
        dist.barrier()
        cache = PixelCache(recipe.data.place(".decoded"), preprocessor)
    return cache


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
