"""Runs tasks with a model: every distinct item is embedded once across all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unite.evaluation.results import Result, Score
from unite.evaluation.scoring import Vectors, score_task
from unite.evaluation.task import Task
from unite.evaluation.vectors import VectorCache, item_key
from unite.types import Encoder, Item

EncoderFor = Callable[[int | None], Encoder]
"""Opens the model with a number of frames for every clip; None leaves it to the model."""

Progress = Callable[[int, int], None]
_Wanted = dict[int | None, dict[str, Item]]
"""Items to embed by the frames they need and by content."""


@dataclass(frozen=True, slots=True)
class _Side:
    """What became of the items of one number of frames."""

    model_id: str
    dim: int
    vectors: VectorCache
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """The results of some tasks, and the ids of the models they were reached with.

    Attributes:
        results: One for each task.
        model_ids: Id of the model by the frames it was opened with.
    """

    results: list[Result]
    model_ids: dict[int | None, str]


def run(
    tasks: Sequence[Task],
    encoder_for: EncoderFor,
    *,
    cache: Path | None = None,
    seed: int = 0,
    rerank: bool = False,
    progress: Progress = lambda done, total: None,
) -> Run:
    """Score a model on tasks.

    Words and pictures do not depend on a task's frames and are embedded once for all tasks; a
    clip is embedded once for every number of frames. One model is open at a time.

    Args:
        tasks: What to run.
        encoder_for: Opens the model.
        cache: Folder in which vectors are kept; a run that was interrupted goes on from there.
        seed: Of the bootstrap intervals.
        rerank: Whether dual-softmax re-ranking is scored beside the plain scores.
        progress: Called with the number of items embedded and the whole.
    """
    wanted = _distinct(tasks)
    total, done = sum(len(items) for items in wanted.values()), 0
    sides: dict[int | None, _Side] = {}
    for nframes, items in wanted.items():
        before = done

        def tell(count: int, before: int = before) -> None:
            progress(before + count, total)

        sides[nframes] = _embed(encoder_for(nframes), items, cache, tell)
        done += len(items)
    results = [
        score_task(
            task,
            _vectors(task, task.queries, sides),
            _vectors(task, task.candidates, sides),
            seed=seed,
            rerank=rerank,
        )
        for task in tasks
    ]
    return Run(results, {nframes: side.model_id for nframes, side in sides.items()})


def run_tasks(
    encoder: Encoder, tasks: Sequence[Task], progress: Progress = lambda done, total: None
) -> list[Score]:
    """Score an open model on tasks as it is, whatever number of frames they ask for."""
    done = run(tasks, lambda nframes: encoder, progress=progress)
    return [result.score for result in done.results]


def _frames(task: Task, item: Item) -> int | None:
    return task.nframes if item.videos else None


def _distinct(tasks: Sequence[Task]) -> _Wanted:
    wanted: _Wanted = {}
    for task in tasks:
        for item in task.items:
            alike = wanted.setdefault(_frames(task, item), {})
            alike.setdefault(item_key(item), replace(item, id=None))
    return wanted


def _embed(
    encoder: Encoder,
    items: dict[str, Item],
    cache: Path | None,
    tell: Callable[[int], None],
) -> _Side:
    vectors, errors = VectorCache(cache, encoder.model_id), dict[str, str]()
    missing = {key: item for key, item in items.items() if key not in vectors}
    done = len(items) - len(missing)
    try:
        for key, result in zip(missing, encoder.embed(missing.values()), strict=True):
            if result.vector is None:
                errors[key] = result.error or "no reason given"
            else:
                vectors.add(key, result.vector)
            done += 1
            tell(done)
    finally:
        vectors.flush()
    return _Side(encoder.model_id, encoder.dim, vectors, errors)


def _vectors(task: Task, items: Sequence[Item], sides: dict[int | None, _Side]) -> Vectors:
    dim = next(iter(sides.values())).dim
    row_ND, errors = np.zeros((len(items), dim), np.float32), list[str | None]()
    for number, item in enumerate(items):
        side, key = sides[_frames(task, item)], item_key(item)
        error = side.errors.get(key)
        errors.append(error)
        if error is None:
            row_ND[number] = side.vectors[key]
    return Vectors(row_ND, errors)
