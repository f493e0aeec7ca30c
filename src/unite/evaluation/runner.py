"""Runs tasks with a model: every distinct item is embedded once across all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unite.evaluation.results import Result, Score
from unite.evaluation.scoring import Vectors, score_task
from unite.evaluation.task import Task
from unite.evaluation.vectors import VectorCache, item_key
from unite.evaluation.versions import versions
from unite.types import Embedding, Encoder, Item, Vector

EncoderFor = Callable[[int | None], Encoder]
"""Opens the model with a number of frames for every clip; None leaves it to the model."""

Progress = Callable[[int, int], None]
_Wanted = dict[int | None, dict[str, Item]]
"""Items to embed by the frames they need and by content."""

_Keys = Sequence[Sequence[str]]
"""Names of the contents of each task's items: media are looked at once."""

_UNIT = 1e-3
"""How far from 1 the length of a vector may be by rounding."""


@dataclass(frozen=True, slots=True)
class Side:
    """What became of the items of one number of frames."""

    model_id: str
    dtype: str
    dim: int
    vectors: VectorCache
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """The results of some tasks, and the ids of the models they were reached with.

    Attributes:
        results: One for each task.
        sides: What was embedded, by the frames the model was opened with.
    """

    results: list[Result]
    sides: Mapping[int | None, Side]

    @property
    def model_ids(self) -> dict[int | None, str]:
        """Id of the model by the frames it was opened with."""
        return {nframes: side.model_id for nframes, side in self.sides.items()}

    @property
    def dtypes(self) -> list[str]:
        """What the model computed in; one, unless it was opened in several."""
        return list(dict.fromkeys(side.dtype for side in self.sides.values()))

    def vector(self, task: Task, item: Item) -> Vector | None:
        """The vector of a task's item; None where there is none."""
        return self.sides[task.frames_of(item)].vectors.get(item_key(item))


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
    keys = [[item_key(item) for item in task.items] for task in tasks]
    wanted = _distinct(tasks, keys)
    total, done = sum(len(items) for items in wanted.values()), 0
    sides: dict[int | None, Side] = {}
    for nframes, items in wanted.items():
        before = done

        def tell(count: int, before: int = before) -> None:
            progress(before + count, total)

        sides[nframes] = _embed(encoder_for(nframes), items, cache, tell)
        done += len(items)
    results = [
        score_task(
            task,
            _vectors(task, task.queries, named[: len(task.queries)], sides),
            _vectors(task, task.candidates, named[len(task.queries) :], sides),
            seed=seed,
            rerank=rerank,
        )
        for task, named in zip(tasks, keys, strict=True)
    ]
    return Run(results, sides)


def run_tasks(
    encoder: Encoder, tasks: Sequence[Task], progress: Progress = lambda done, total: None
) -> list[Score]:
    """Score an open model on tasks as it is, whatever number of frames they ask for."""
    done = run(tasks, lambda nframes: encoder, progress=progress)
    return [result.score for result in done.results]


def _distinct(tasks: Sequence[Task], keys: _Keys) -> _Wanted:
    wanted: _Wanted = {}
    for task, named in zip(tasks, keys, strict=True):
        for item, key in zip(task.items, named, strict=True):
            alike = wanted.setdefault(task.frames_of(item), {})
            alike.setdefault(key, replace(item, id=None))
    return wanted


def _embed(
    encoder: Encoder,
    items: dict[str, Item],
    cache: Path | None,
    tell: Callable[[int], None],
) -> Side:
    vectors, errors = VectorCache(cache, _maker(encoder)), dict[str, str]()
    missing = {key: item for key, item in items.items() if key not in vectors}
    done = len(items) - len(missing)
    try:
        for key, result in zip(missing, encoder.embed(missing.values()), strict=True):
            vector, reason = _sound(result, encoder.dim)
            if vector is None:
                errors[key] = reason
            else:
                # What changed while it was embedded must not pass for what it was or now is.
                vectors.add(key, vector, lasting=item_key(items[key]) == key)
            done += 1
            tell(done)
    finally:
        vectors.flush()
    return Side(encoder.model_id, encoder.dtype, encoder.dim, vectors, errors)


def _maker(encoder: Encoder) -> str:
    """A name for all that shapes a vector: the id leaves out rounding and fitting."""
    fits = ["fit"] if getattr(encoder, "fits", False) else []
    told = json.dumps([encoder.dtype, versions(), *fits], sort_keys=True)
    return f"{encoder.model_id}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _sound(result: Embedding, dim: int) -> tuple[Vector | None, str]:
    """The vector, or why there is none that could be compared."""
    if result.vector is None:
        return None, result.error or "no reason given"
    if result.vector.shape != (dim,):
        return None, f"the vector has the shape {result.vector.shape} and not ({dim},)"
    if not np.isfinite(result.vector).all() or not result.vector.any():
        return None, "the vector is not finite or has no direction"
    length = float(np.linalg.norm(result.vector))
    # Ranks are by cosine, whatever an encoder makes of length; unit vectors stay to the bit.
    return (result.vector if abs(length - 1) < _UNIT else result.vector / length), ""


def _vectors(
    task: Task, items: Sequence[Item], keys: Sequence[str], sides: Mapping[int | None, Side]
) -> Vectors:
    dim = next(iter(sides.values())).dim
    row_ND, errors = np.zeros((len(items), dim), np.float32), list[str | None]()
    for number, (item, key) in enumerate(zip(items, keys, strict=True)):
        side = sides[task.frames_of(item)]
        error = side.errors.get(key)
        errors.append(error)
        if error is None:
            row_ND[number] = side.vectors[key]
    return Vectors(row_ND, errors)
