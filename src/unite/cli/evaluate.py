"""Scoring a model with progress shown: for `unite eval` and `unite demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unite.evaluation.runner import EncoderFor, Run
    from unite.evaluation.task import Task

WORLD = "world"


def evaluate(
    model: str,
    data: Path,
    tasks: Sequence[Task],
    *,
    dtype: str | None = None,
    cache: Path | None = None,
    seed: int = 0,
    rerank: bool = False,
) -> Run:
    """Score a model on tasks, with progress on stderr."""
    from unite.cli.progress import progress_bars
    from unite.evaluation.runner import run as run_all

    with progress_bars() as show:
        return run_all(
            tasks,
            _opener(model, dtype),
            cache=cache,
            seed=seed,
            rerank=rerank,
            progress=lambda done, total: show("evaluation: embedding", done, total),
        )


def _opener(model: str, dtype: str | None) -> EncoderFor:
    from unite.embedder import Embedder

    return lambda nframes: Embedder.open(model, dtype=dtype, nframes=nframes)


def evaluate_world(model: str, world: Path) -> Run:
    """Score a model on a small world, its media decoded once and kept for the next model."""
    from unite.cli.progress import progress_bars
    from unite.embedder import Embedder
    from unite.evaluation.registry import benchmark_named, read
    from unite.evaluation.runner import run as run_all
    from unite.model.checkpoint import load_model
    from unite.model.pixel_cache import PixelCache
    from unite.model.preprocess import Preprocessor, media_of

    tasks = read(benchmark_named(WORLD), world)
    loaded = load_model(model)
    cache = PixelCache(world / ".decoded", Preprocessor(loaded.tokenizer, loaded.policy))
    items = [item for task in tasks for item in task.items]
    with progress_bars() as show:
        cache.fill(
            media_of(items), progress=lambda done, total: show("evaluation: decoding", done, total)
        )
        return run_all(
            tasks,
            lambda nframes: Embedder(loaded, see=cache.see),
            progress=lambda done, total: show("evaluation: embedding", done, total),
        )
