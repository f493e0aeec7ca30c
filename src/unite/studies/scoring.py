"""Scores of a finished model; all that studies know of evaluation is here.

Shapes: Q queries, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unite.errors import StudyError
from unite.evaluation.registry import read_all, select
from unite.evaluation.results import Result
from unite.evaluation.runner import run
from unite.evaluation.task import Task
from unite.evaluation.vectors import item_key
from unite.types import Encoder, Item, Vector

if TYPE_CHECKING:
    from unite.model.checkpoint import Model

_NOT_FOUND = 1 << 30
"""The rank of an answer that is not in the gallery."""
_MODALITIES = ("target_Q", "first_Q")


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a model answered the queries of one task.

    Attributes:
        task: Its name.
        split: The part of the suite.
        family: What it tests.
        kind: Modalities of query and answer, such as `text→image`.
        candidates: Size of the gallery.
        rank_Q: Rank of each query's best answer, counted from 1.
        target_Q: Modality of each query's answer.
        first_Q: Modality of each query's first hit.
        group_Q: A number for each query, equal for those about one medium; empty: none are.
    """

    task: str
    split: str
    family: str
    kind: str
    candidates: int
    rank_Q: tuple[int, ...]
    target_Q: tuple[str, ...]
    first_Q: tuple[str, ...]
    group_Q: tuple[int, ...] = ()

    @property
    def control(self) -> bool:
        """Whether it asks with one part of a composed query only."""
        return self.task.endswith(("_text_only", "_visual_only"))

    def to_json(self) -> dict[str, Any]:
        """All of it; modalities that are the same for every query are said once."""
        row = asdict(self)
        if not self.group_Q:
            del row["group_Q"]
        for name in _MODALITIES:
            if len(set(row[name])) == 1:
                row[name] = row[name][0]
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TaskResult:
        """Read what `to_json` gave."""
        count = len(row["rank_Q"])
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        for name in _MODALITIES:
            if isinstance(known[name], str):
                known[name] = (known[name],) * count
        return cls(**known)


def score(
    model: Model,
    data: Path,
    kept: Path,
    *,
    suites: Sequence[str],
    frames: int | None = None,
    whatever: int | None = None,
    keep_decoded: bool = False,
) -> dict[str, Any]:
    """Score a model on the tasks of some suites.

    Args:
        model: What is scored.
        data: The folder of the suites.
        kept: Where vectors are kept, for a scoring that is interrupted.
        suites: See `unite eval list`.
        frames: Frames of a clip where a task does not say; None: the model's own policy.
        whatever: Frames of every clip, whatever a task says; None: as above.
        keep_decoded: Decode all media once, and keep them in the folder for the next model.

    Returns:
        `tasks`: a row a task; `gap`: see `modality_gap`.

    Raises:
        DataError: A suite is not there, or a medium cannot be decoded.
        StudyError: An item cannot be embedded: arms would not be scored alike.
    """
    from unite.embedder import Embedder
    from unite.model.pixel_cache import PixelCache
    from unite.model.preprocess import Preprocessor, media_of

    tasks = read_all(select(suites), data)

    def encoder_for(nframes: int | None) -> Encoder:
        policy = model.policy.with_frames(whatever or nframes or frames)
        opened = replace(model, policy=policy)
        if not keep_decoded:
            return Embedder(opened)
        cache = PixelCache(data / ".decoded", Preprocessor(model.tokenizer, policy))
        cache.fill(
            media_of(i for task in tasks for i in task.items if task.frames_of(i) == nframes)
        )
        return Embedder(opened, see=cache.see)

    done = run(tasks, encoder_for, cache=kept)
    failures = [failure for result in done.results for failure in result.failures]
    if failures:
        first = failures[0]
        raise StudyError(
            f"{len(failures)} items of the tasks cannot be embedded; {first.id}: {first.error}",
            "Mend or remove them: all arms must answer the same queries.",
        )
    return {
        "tasks": [
            answered(task, result).to_json()
            for task, result in zip(tasks, done.results, strict=True)
        ],
        "gap": modality_gap(tasks, done.vector),
    }


def unanswered(suites: Sequence[str], data: Path) -> list[TaskResult]:
    """The tasks of some suites without ranks: what is missing is told before models are trained.

    Raises:
        DataError: A suite is unknown, not there or not as published.
    """
    return [_asked(task) for task in read_all(select(suites), data)]


def answered(task: Task, result: Result) -> TaskResult:
    """A task's result, a value a query."""
    modality = {str(item.id): item.modality.label for item in task.candidates}
    ranks = [rank_A[0] if len(rank_A) else np.inf for rank_A in result.ranks]
    return replace(
        _asked(task),
        candidates=result.score.candidates,
        rank_Q=tuple(int(rank) if np.isfinite(rank) else _NOT_FOUND for rank in ranks),
        first_Q=tuple(modality[hits[0][0]] if hits else "" for hits in result.hits),
    )


def _asked(task: Task) -> TaskResult:
    asking = sorted({item.modality.label for item in task.queries})
    targets = tuple(target.label for target in task.target_modality)
    return TaskResult(
        task=task.name,
        split=task.split,
        family=task.family,
        kind=f"{'/'.join(asking)}→{'/'.join(sorted(set(targets)))}",
        candidates=len(task.candidates),
        rank_Q=(),
        target_Q=targets,
        first_Q=(),
        group_Q=task.query_groups,
    )


def modality_gap(
    tasks: Sequence[Task], vector_of: Callable[[Task, Item], Vector | None]
) -> dict[str, float]:
    """Distances between the mean vectors of candidates of two modalities (Liang et al., 2022).

    Args:
        tasks: Whose candidates count, each content once.
        vector_of: The vector of a task's candidate, None if there is none.

    Returns:
        By the pair's name, `image|text`, and their mean as `mean`.
    """
    by_modality: dict[str, dict[str, Vector]] = {}
    for task in tasks:
        for item in task.candidates:
            vector = vector_of(task, item)
            if vector is not None:
                by_modality.setdefault(item.modality.label, {})[item_key(item)] = vector
    centre = {name: np.mean(list(rows.values()), axis=0) for name, rows in by_modality.items()}
    gaps = {
        f"{one}|{other}": float(np.linalg.norm(centre[one] - centre[other]))
        for one, other in combinations(sorted(centre), 2)
    }
    return gaps | ({"mean": sum(gaps.values()) / len(gaps)} if gaps else {})
