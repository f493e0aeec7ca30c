"""One stage of training from its recipe to a finished model directory.

The run directory holds `recipe.json` (resolved), `run.json` (seed, versions, counts),
`metrics.jsonl`, TensorBoard events, checkpoints while it runs, and `model/` at the end.
"""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.mixture import Plan, plan_rows
from unite.data.records import read_pairs
from unite.errors import RecipeError
from unite.loss.gather import world_size
from unite.model.checkpoint import Model, load_model, save_model
from unite.model.pixel_cache import PixelCache
from unite.model.preprocess import Preprocessor, media_of
from unite.prompts import render
from unite.training.recipe import Recipe, source_files
from unite.types import Item, Pair

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

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
    files = source_files(recipe)
    if _main_process():
        _claim(recipe, output, resume=resume)
    if resume and finished.exists():
        return finished
    if recipe.run.threads is not None:
        import torch

        torch.set_num_threads(recipe.run.threads)
    sources = {source: read_pairs(path, source) for source, path in files.items()}
    pairs = [pair for rows in sources.values() for pair in rows]
    plan = plan_rows(
        {name: len(rows) for name, rows in sources.items()},
        {name: recipe.data.weights.get(name, 1.0) for name in sources},
        batch_size=recipe.optimiser.batch_size,
        steps=recipe.optimiser.steps,
        seed=recipe.optimiser.seed,
        processes=recipe.run.processes,
    )
    model = _start(recipe, pairs)
    if _main_process():
        _write_run(output, recipe, plan, pairs)
    _fit(recipe, output, model, pairs, plan, resume=resume, progress=progress)
    mixed = not recipe.loss.masked or recipe.loss.blend > 0
    done = replace(
        model, policy=replace(model.policy, mixed_gallery=mixed), name=str(finished), directory=None
    )
    if _main_process():
        save_model(done, finished)
    return finished


def describe(plan: Plan, pairs: Sequence[Pair]) -> dict[str, Any]:
    """What a run will see: examples of each source and of each pair of modalities."""
    kinds = Counter(
        f"{pairs[row].query.modality.label}→{pairs[row].target_modality.label}"
        for row in plan.rows.tolist()
    )
    return {
        "examples": len(plan.rows),
        "sources": plan.counts,
        "modality_pairs": dict(kinds.most_common()),
    }


def _sides(pairs: Sequence[Pair]) -> list[Item]:
    return [item for pair in pairs for item in (pair.query, pair.candidate, *pair.negatives)]


def _claim(recipe: Recipe, output: Path, *, resume: bool) -> None:
    """Make the run directory ours, or refuse: a run is never overwritten or mixed with another."""
    path = output / "recipe.json"
    row = recipe.model_dump_json(indent=2)
    if path.exists():
        if not resume:
            raise RecipeError(
                f"{output} already holds a run.", "Add --resume, or choose another directory."
            )
        if _learned(json.loads(path.read_text())) != _learned(json.loads(row)):
            raise RecipeError(
                f"{output} holds a run of another recipe.",
                "Choose another directory, or resume with the recipe it began with.",
            )
    output.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(row + "\n", encoding="utf-8")
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
    files = source_files(recipe).items()
    return _start(recipe, [pair for source, path in files for pair in read_pairs(path, source)])


def _start(recipe: Recipe, pairs: Sequence[Pair]) -> Model:
    if recipe.model.start is not None:
        return load_model(recipe.model.start, dtype=recipe.model.dtype)
    from unite.model.scratch import random_model

    assert recipe.model.scratch is not None
    texts = (render(item).text for item in _sides(pairs))
    return random_model(texts, seed=recipe.optimiser.seed, **recipe.model.scratch.model_dump())


def _fit(
    recipe: Recipe,
    output: Path,
    model: Model,
    pairs: Sequence[Pair],
    plan: Plan,
    *,
    resume: bool,
    progress: Progress,
) -> None:
    """Run the trainer; the encoder then holds the trained weights, adapters merged."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback

    from unite.loss.module import MamclLoss
    from unite.model.adapters import add_adapters
    from unite.model.transformer import wrap
    from unite.training.batches import PairCollator
    from unite.training.trainer import MetricsFile, UniteTrainer, whole_checkpoints

    class Bar(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps)

    arguments = _arguments(recipe, output)  # joins the processes, which decoding waits for
    lora, adapters = recipe.model.lora, None
    if lora is not None:
        adapters = add_adapters(model.encoder, lora.rank, lora.alpha, lora.dropout)
    preprocessor = Preprocessor(model.tokenizer, model.policy)
    see = preprocessor.see
    if recipe.data.keep_decoded:
        see = _decoded(recipe, preprocessor, pairs, progress).see
    wrapped = wrap(model)
    loss = MamclLoss(
        wrapped,
        temperature=recipe.loss.temperature,
        masked=recipe.loss.masked,
        symmetric=recipe.loss.symmetric,
        blend=recipe.loss.blend,
    )
    callbacks = [MetricsFile(output / "metrics.jsonl", loss, recipe.optimiser.batch_size), Bar()]
    trainer = UniteTrainer(
        model=wrapped,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": plan.rows}),
        loss=loss,
        data_collator=PairCollator(pairs, preprocessor, see, recipe.loss.hard_negatives),
        callbacks=callbacks,
        optimizers=(_optimiser(recipe, wrapped), None),
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints = whole_checkpoints(output) if resume else []
    trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    if adapters is not None:
        adapters.merge_and_unload()
    model.encoder.eval()


def _arguments(recipe: Recipe, output: Path) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    optimiser, run = recipe.optimiser, recipe.run
    return SentenceTransformerTrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=optimiser.batch_size // run.processes,
        max_steps=optimiser.steps,
        learning_rate=optimiser.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(optimiser.warmup * optimiser.steps),
        weight_decay=optimiser.weight_decay,
        max_grad_norm=optimiser.max_grad_norm,
        optim="adamw_torch",
        seed=optimiser.seed,
        bf16=False,
        use_cpu=not _has_gpu(),
        logging_steps=run.log_every,
        save_steps=run.save_every,
        save_strategy="steps",
        eval_strategy="no",
        report_to=["tensorboard"],
        disable_tqdm=True,
        dataloader_num_workers=run.workers,
        dataloader_pin_memory=_has_gpu(),
        dataloader_drop_last=True,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
    )


def _optimiser(recipe: Recipe, network: nn.Module) -> Optimizer | None:
    """Muon with AdamW if the recipe asks for it; None leaves AdamW to the trainer."""
    from unite.training.optimiser import MuonAdamW

    rates = recipe.optimiser
    if rates.muon_learning_rate is None:
        return None
    return MuonAdamW(
        network,
        learning_rate=rates.learning_rate,
        muon_learning_rate=rates.muon_learning_rate,
        weight_decay=rates.weight_decay,
    )


def _decoded(
    recipe: Recipe, preprocessor: Preprocessor, pairs: Sequence[Pair], progress: Progress
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


def _write_run(output: Path, recipe: Recipe, plan: Plan, pairs: Sequence[Pair]) -> None:
    row = {
        "stage": recipe.stage,
        "seed": recipe.optimiser.seed,
        "data": describe(plan, pairs),
        "processes": world_size(),
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
