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
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from unite.data.mixture import Plan, count_drawn, plan_batches
from unite.data.sources import Source
from unite.data.store import PairStore
from unite.errors import DataError, RecipeError
from unite.loss.gather import world_size
from unite.model.checkpoint import Model, built_anew, load_model, save_model
from unite.prompts import render
from unite.training.card import model_card
from unite.training.fit import Objective, Progress, contrastive, fit, sides_of
from unite.training.recipe import Recipe, sources_of
from unite.training.trackers import tracker_faults
from unite.types import Pair
from unite.whole import write_text

_PLACES = ("keep_decoded", "vision_cache")
_PACKAGES = ("unite-embed", "torch", "transformers", "sentence-transformers", "peft", "numpy")


def train(
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    progress: Progress = lambda what, done, total: None,
    announce: Callable[[Plan], None] = lambda plan: None,
    objective: Objective = contrastive,
) -> Path:
    """Train one stage.

    Args:
        recipe: What to do.
        output: The run directory.
        resume: Go on from the newest whole checkpoint, if there is one.
        progress: Told what is being done, how far it is and the whole.
        announce: Told in the first process what will be seen, before training begins.
        objective: Makes the loss; by default what the recipe says.

    Returns:
        The directory of the finished model.

    Raises:
        RecipeError: The run directory holds another run, one that another process trains, or a
            source is missing.
        DataError: A pair or medium cannot be read.
        TrainingError: A loss or a gradient is not finite, or a checkpoint cannot be written.
    """
    _refuse_processes(recipe)
    _refuse_sharding(recipe)
    for fault in tracker_faults(recipe.run.trackers):
        raise fault
    sources = sources_of(recipe)
    with _claimed(recipe, output, resume=resume) if _main_process() else nullcontext():
        if not (resume and (output / "model").exists()):
            _run(recipe, output, sources, resume, progress, announce, objective)
    return output / "model"


def _run(
    recipe: Recipe,
    output: Path,
    sources: Mapping[str, Source],
    resume: bool,
    progress: Progress,
    announce: Callable[[Plan], None],
    objective: Objective,
) -> None:
    """Train in a directory that is ours, up to the finished model."""
    if recipe.run.threads is not None:
        import torch

        torch.set_num_threads(recipe.run.threads)
    pairs = read_store(sources, output, recipe, progress)
    if resume:
        _refuse_other_data(output, pairs)
    plan = plan_run(recipe, pairs)
    model = _start(recipe, pairs)
    if _main_process():  # an id reads all weights: 5 s on one core for 10⁹ of them in bf16
        if resume:
            _refuse_other_start(output, model)
        _write_run(output, recipe, plan, pairs, model)
        announce(plan)
    fit(recipe, output, model, pairs, plan, resume=resume, progress=progress, objective=objective)
    policy = replace(model.policy, mixed_gallery=compares_modalities(recipe, plan))
    finished = output / "model"
    done = replace(model, policy=policy, name=str(finished), directory=None)
    if _main_process():
        save_model(done, finished, card=model_card(recipe, output))
    _part()


def compares_modalities(recipe: Recipe, plan: Plan) -> bool:
    """Whether candidates of different modalities are each other's rivals in a run."""
    rivals = not recipe.loss.masked or recipe.loss.blend > 0
    targets = {label.partition("→")[2] for label in plan.modality_pairs}
    return rivals and recipe.data.batches in ("mixed", "alternating") and len(targets) > 1


def _part() -> None:
    """Processes end together: one that leaves while others still talk to it may abort them."""
    import torch.distributed as dist

    if world_size() > 1:
        dist.barrier()
        dist.destroy_process_group()


def _refuse_processes(recipe: Recipe) -> None:
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.optimiser.batch_size < count:
        raise RecipeError(
            f"{count} processes cannot share batches of {recipe.optimiser.batch_size} pairs.",
            "Raise optimiser.batch_size, or start fewer.",
        )


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
    """All pairs of a run, in its directory; rows that are no pairs are in its `store.json`.

    Raises:
        DataError: A source cannot be read, none of its rows is a pair, or too many of all are none.
    """
    pairs = PairStore.build(
        sources,
        output / "pairs",
        progress=lambda done, total: progress("reading", done, total or 0),
    )
    for first in pairs.bad:
        if not pairs.sizes[first.source]:
            raise DataError(
                f"No row of the source {first.source!r} is a pair; its row {first.number}: "
                f"{first.reason}",
                "Mend it (`unite data check` lists all), or take it out of data.sources.",
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
    drawn = count_drawn(pairs.kind_N, data.modality_weights)
    return plan_batches(
        pairs.sizes,
        pairs.kind_N,
        weights=data.weights or None,
        modality_weights=data.modality_weights,
        batches=data.batches,
        g_min=data.g_min,
        batch_size=optimiser.batch_size,
        steps=optimiser.length(drawn) * optimiser.accumulation,
        seed=optimiser.seed,
    )


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
    begun, asked = (
        _learned(json.loads(row)) for row in (path.read_text(), recipe.model_dump_json())
    )
    if _start_is_compared(output):
        begun["model"]["start"] = asked["model"]["start"]
    if begun != asked:
        raise RecipeError(
            f"{output} holds a run of another recipe.",
            "Choose another directory, or resume with the recipe it began with.",
        )


@contextmanager
def _claimed(recipe: Recipe, output: Path, *, resume: bool) -> Iterator[None]:
    """Make the run directory ours for the length of a block; the lock goes with the process."""
    refuse_taken(recipe, output, resume=resume)
    output.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(output / "run.lock", timeout=0).acquire()
    except Timeout as error:
        raise RecipeError(
            f"Another process is training in {output}.", "Wait for it, or end it and --resume."
        ) from error
    with lock:
        write_text(output / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
        yield


def _refuse_other_data(output: Path, pairs: PairStore) -> None:
    """The plan of changed data is another one, and what is left of it is no rest of this run."""
    facts = _begun(output)
    if facts is not None and facts["data"]["digest"] != pairs.digest:
        raise RecipeError(
            f"The data have changed since the run in {output} began.",
            "Put them back as they were, or begin in another directory with its model as start.",
        )


def _refuse_other_start(output: Path, model: Model) -> None:
    """A checkpoint holds what is trained alone: adapters fit the model that they began with."""
    facts = _begun(output)
    if facts is not None and facts.get("start", model.id) != model.id:  # older runs do not say it
        raise RecipeError(
            f"The model that the run in {output} began with has changed since.",
            "Put it back as it was, or begin in another directory.",
        )


def _start_is_compared(output: Path) -> bool:
    """Whether going on asks for the model that a run began with, wherever that lies by now."""
    facts = _begun(output)
    return not (output / "model").exists() and (facts is None or "start" in facts)


def _begun(output: Path) -> dict[str, Any] | None:
    """What `run.json` says of a run that has a checkpoint to go on from."""
    facts = output / "run.json"
    if not facts.exists() or not any(output.glob("checkpoint-*")):
        return None
    row: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    return row


def _learned(row: dict[str, Any]) -> dict[str, Any]:
    """A recipe without what does not change what is learned."""
    learned = {key: value for key, value in row.items() if key != "run"}
    return learned | {"data": {k: v for k, v in row["data"].items() if k not in _PLACES}}


def starting_model(recipe: Recipe) -> Model:
    """The model that a run of this recipe starts from.

    Raises:
        CheckpointError: There is no such model.
        RecipeError: A source is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _start(recipe, PairStore.build(sources_of(recipe), Path(folder)))


def _start(recipe: Recipe, pairs: Iterable[Pair]) -> Model:
    model = recipe.model
    return built_anew(_given(recipe, pairs), positions=model.positions, pooling=model.pooling)


def _given(recipe: Recipe, pairs: Iterable[Pair]) -> Model:
    if recipe.model.start is not None:
        return load_model(recipe.model.start, dtype=recipe.model.dtype)
    from unite.model.scratch import random_model

    assert recipe.model.scratch is not None
    texts = (render(item).text for item in sides_of(pairs))
    return random_model(texts, seed=recipe.optimiser.seed, **recipe.model.scratch.model_dump())


def _write_run(output: Path, recipe: Recipe, plan: Plan, pairs: PairStore, model: Model) -> None:
    row = {
        "stage": recipe.stage,
        "seed": recipe.optimiser.seed,
        "start": model.id,
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
    write_text(output / "run.json", json.dumps(row, indent=2, ensure_ascii=False) + "\n")


def _main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
