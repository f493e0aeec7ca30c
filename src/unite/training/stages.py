"""One stage of training from its recipe to a finished model directory.

The run directory holds `recipe.json` (resolved), `run.json` (seed, versions, counts),
`metrics.jsonl`, TensorBoard events, checkpoints while it runs, and `model/` at the end.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.mixture import Plan, plan_batches
from unite.data.sources import Source
from unite.data.store import PairStore
from unite.errors import DataError, RecipeError
from unite.loss.gather import world_size
from unite.model.checkpoint import Model, load_model, save_model
from unite.model.pixel_cache import PixelCache
from unite.model.policy import Policy
from unite.model.preprocess import Preprocessor, media_of
from unite.model.vision_cache import Sight, VisionCache
from unite.prompts import render
from unite.training.card import model_card
from unite.training.recipe import Recipe, sources_of
from unite.training.trackers import tracker_faults
from unite.types import Item, Pair

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from unite.training.feed import Feed

Progress = Callable[[str, int, int], None]
_PACKAGES = ("unite-embed", "torch", "transformers", "sentence-transformers", "peft", "numpy")


def train(
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Train one stage.

    Args:
        recipe: What to do.
        output: The run directory.
        resume: Go on from the newest whole checkpoint, if there is one.
        progress: Told what is being done, how far it is and the whole.

    Returns:
        The directory of the finished model.

    Raises:
        RecipeError: The run directory holds another run, or a source is missing.
        DataError: A pair or medium cannot be read.
    """
    finished = output / "model"
    _refuse_sharding(recipe)
    for fault in tracker_faults(recipe.run.trackers):
        raise fault
    sources = sources_of(recipe)
    if _main_process():
        _claim(recipe, output, resume=resume)
    if resume and finished.exists():
        return finished
    if recipe.run.threads is not None:
        import torch

        torch.set_num_threads(recipe.run.threads)
    pairs = read_store(sources, output, recipe, progress)
    plan = plan_run(recipe, pairs)
    model = _start(recipe, pairs)
    if _main_process():
        _write_run(output, recipe, plan, pairs)
    _fit(recipe, output, model, pairs, plan, resume=resume, progress=progress)
    mixed = not recipe.loss.masked or recipe.loss.blend > 0
    done = replace(
        model, policy=replace(model.policy, mixed_gallery=mixed), name=str(finished), directory=None
    )
    if _main_process():
        save_model(done, finished, card=model_card(recipe, output))
    _part()
    return finished


def _part() -> None:
    """Processes end together: one that leaves while others still talk to it may abort them."""
    import torch.distributed as dist

    if world_size() > 1:
        dist.barrier()
        dist.destroy_process_group()


def _refuse_sharding(recipe: Recipe) -> None:
    """Under FSDP the optimiser sees shards, and parameters of the model alone."""
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() != "true":
        return
    if recipe.optimiser.muon_learning_rate:
        raise RecipeError(
            "Muon needs whole matrices, which FSDP shards.",
            "Set optimiser.muon_learning_rate to 0.",
        )
    if recipe.loss.temperature_bounds:
        raise RecipeError(
            "A learned temperature is no part of the model, which is all that FSDP shards.",
            "Leave out loss.temperature_bounds.",
        )


def read_store(
    sources: Mapping[str, Source], output: Path, recipe: Recipe, progress: Progress
) -> PairStore:
    """All pairs of a run, in its directory; rows that are no pairs are in `bad_rows.jsonl`.

    Raises:
        DataError: A source cannot be read, or too many of its rows are no pairs.
    """
    pairs = PairStore.build(
        sources,
        output / "pairs",
        progress=lambda done, total: progress("reading", done, total or 0),
    )
    whole = len(pairs) + len(pairs.bad)
    if len(pairs.bad) > recipe.data.max_bad_share * whole:
        first = pairs.bad[0]
        raise DataError(
            f"{len(pairs.bad)} of {whole} rows are no pairs; the first is row {first.number} of "
            f"{first.source!r}: {first.reason}",
            "Mend them (`unite data check` lists all), or raise data.max_bad_share.",
        )
    return pairs


def plan_run(recipe: Recipe, pairs: PairStore) -> Plan:
    """Every batch of a run.

    Raises:
        DataError: The sources cannot be mixed as the recipe says.
        RecipeError: An epoch is shorter than a step.
    """
    optimiser, data = recipe.optimiser, recipe.data
    return plan_batches(
        pairs.sizes,
        pairs.kind_N,
        weights=data.weights or None,
        modality_weights=data.modality_weights,
        batches=data.batches,
        g_min=data.g_min,
        batch_size=optimiser.batch_size,
        steps=optimiser.length(len(pairs)) * optimiser.accumulation,
        seed=optimiser.seed,
    )


def _sides(pairs: Iterable[Pair]) -> Iterator[Item]:
    for pair in pairs:
        yield from (pair.query, pair.candidate, *pair.negatives)


def refuse_taken(recipe: Recipe, output: Path, *, resume: bool) -> None:
    """Refuse a directory of another run: one is never overwritten or mixed with another.

    Raises:
        RecipeError: There is a run that this one does not go on with.
    """
    path = output / "recipe.json"
    if not path.exists():
        return
    if not resume:
        raise RecipeError(
            f"{output} already holds a run.", "Add --resume, or choose another directory."
        )
    if _learned(json.loads(path.read_text())) != _learned(json.loads(recipe.model_dump_json())):
        raise RecipeError(
            f"{output} holds a run of another recipe.",
            "Choose another directory, or resume with the recipe it began with.",
        )


def _claim(recipe: Recipe, output: Path, *, resume: bool) -> None:
    """Make the run directory ours."""
    refuse_taken(recipe, output, resume=resume)
    path = output / "recipe.json"
    output.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _learned(row: dict[str, Any]) -> dict[str, Any]:
    """A recipe without what does not change what is learned."""
    return {key: value for key, value in row.items() if key != "run"}


def starting_model(recipe: Recipe) -> Model:
    """The model that a run of this recipe starts from.

    Raises:
        CheckpointError: There is no such model.
        RecipeError: A source is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _start(recipe, PairStore.build(sources_of(recipe), Path(folder)))


def _start(recipe: Recipe, pairs: Iterable[Pair]) -> Model:
    if recipe.model.start is not None:
        return load_model(recipe.model.start, dtype=recipe.model.dtype)
    from unite.model.scratch import random_model

    assert recipe.model.scratch is not None
    texts = (render(item).text for item in _sides(pairs))
    return random_model(texts, seed=recipe.optimiser.seed, **recipe.model.scratch.model_dump())


def training_policy(recipe: Recipe, model: Model) -> Policy:
    """The model's policy with the run's own limits."""
    policy = model.policy.with_frames(recipe.data.frames)
    return replace(policy, max_tokens=recipe.data.max_tokens or policy.max_tokens)


def _fit(
    recipe: Recipe,
    output: Path,
    model: Model,
    pairs: PairStore,
    plan: Plan,
    *,
    resume: bool,
    progress: Progress,
) -> None:
    """Run the trainer; the encoder then holds the trained weights, adapters merged."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback, set_seed

    from unite.loss.module import MamclLoss
    from unite.model.adapters import add_adapters
    from unite.model.transformer import wrap
    from unite.training.chunked import ChunkedStep
    from unite.training.metrics import Figures, MetricsFile
    from unite.training.trainer import StepNumber, UniteTrainer, whole_checkpoints

    class Bar(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps)

    arguments = _arguments(recipe, output, plan)  # joins the processes, which decoding waits for
    lora, adapters = recipe.model.lora, None
    set_seed(recipe.optimiser.seed)  # the trainer does so when the adapters are there already
    if lora is not None:
        adapters = add_adapters(model.encoder, lora.rank, lora.alpha, lora.dropout)
    if recipe.run.gradient_checkpointing:
        model.encoder.save_memory()
    wrapped = wrap(model)
    loss = MamclLoss(wrapped, **recipe.loss.model_dump(exclude={"hard_negatives"}))
    figures = Figures()
    vision_cache = None
    if recipe.data.vision_cache is not None:
        policy = training_policy(recipe, model)
        vision_cache = VisionCache.of(model, policy, recipe.data.vision_cache)
    device = arguments.device
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
                MetricsFile(output / "metrics.jsonl", figures, plan.rows.shape[1]),
                Bar(),
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
    if adapters is not None:
        adapters.merge_and_unload()
    model.encoder.eval()


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
    from unite.loss.gather import rank
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
    )


def _decoded(
    recipe: Recipe, preprocessor: Preprocessor, pairs: Iterable[Pair], progress: Progress
) -> PixelCache:
    """Decode all media once; the first process does it, the others wait and read."""
    import torch.distributed as dist

    cache = PixelCache(recipe.data.root / ".decoded", preprocessor)
    if _main_process():
        cache.fill(
            media_of(_sides(pairs)),
            progress=lambda done, total: progress("decoding", done, total),
        )
    if world_size() > 1:
        dist.barrier()
        cache = PixelCache(recipe.data.root / ".decoded", preprocessor)
    return cache


def _write_run(output: Path, recipe: Recipe, plan: Plan, pairs: PairStore) -> None:
    row = {
        "stage": recipe.stage,
        "seed": recipe.optimiser.seed,
        "data": {
            "examples": plan.rows.size,
            "batches": len(plan.rows),
            "sources": plan.sources,
            "modality_pairs": plan.modality_pairs,
            "rows": pairs.sizes,
            "rows_left_out": len(pairs.bad),
            "digest": pairs.digest,
        },
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }
    (output / "run.json").write_text(json.dumps(row, indent=2, ensure_ascii=False) + "\n")


def _main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
