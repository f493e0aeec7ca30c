"""Scores of a finished model; all that studies know of evaluation is here.

Shapes: Q queries, C candidates, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite.data.records import content_id
from unite.errors import StudyError
from unite.evaluation.metrics import first_ranks
from unite.evaluation.task import Task, read_suite
from unite.types import Encoder, Item

if TYPE_CHECKING:
    from unite.model.checkpoint import Model

Vectors = npt.NDArray[np.float32]


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
    """

    task: str
    split: str
    family: str
    kind: str
    candidates: int
    rank_Q: tuple[int, ...]
    target_Q: tuple[str, ...]
    first_Q: tuple[str, ...]

    @property
    def control(self) -> bool:
        """Whether it asks with one part of a composed query only."""
        return self.task.endswith(("_text_only", "_visual_only"))

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TaskResult:
        """Read what `dataclasses.asdict` gave."""
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**known)


def score(model: Model, data: Path, frames: int | None) -> dict[str, Any]:
    """Score a model on the tasks of a folder.

    Args:
        model: What is scored.
        data: The folder; its media are decoded once and kept there.
        frames: A fixed number of frames a clip; None: the model's own policy.

    Returns:
        `tasks`: a row a task; `gap`: see `modality_gap`.

    Raises:
        DataError: The folder holds no tasks, or a medium cannot be decoded.
        StudyError: An item cannot be embedded.
    """
    from dataclasses import replace

    from unite.embedder import Embedder
    from unite.model.pixel_cache import PixelCache
    from unite.model.preprocess import Preprocessor, media_of

    tasks = read_suite(data)
    model = replace(model, policy=model.policy.with_frames(frames))
    cache = PixelCache(data / ".decoded", Preprocessor(model.tokenizer, model.policy))
    items = [item for task in tasks for item in (*task.queries, *task.candidates)]
    cache.fill(media_of(items))
    with Embedder(model, see=cache.see) as encoder:
        vectors = embed(encoder, items)
    return {
        "tasks": [asdict(score_task(task, vectors)) for task in tasks],
        "gap": modality_gap(tasks, vectors),
    }


def embed(encoder: Encoder, items: Sequence[Item]) -> dict[str, Vectors]:
    """The vector of each distinct item, by content id."""
    from dataclasses import replace

    distinct = {content_id(item): replace(item, id=None) for item in items}
    found = {}
    for (name, item), result in zip(
        distinct.items(), encoder.embed(distinct.values()), strict=True
    ):
        if result.vector is None:
            raise StudyError(f"An item of the tasks cannot be embedded: {result.error}", str(item))
        found[name] = result.vector
    return found


def score_task(task: Task, vectors: dict[str, Vectors]) -> TaskResult:
    """Rank a task's gallery for each of its queries."""
    score_QC = _matrix(task.queries, vectors) @ _matrix(task.candidates, vectors).T
    rank_Q = first_ranks(score_QC, [set(answers) for answers in task.positives])
    modality_C = [item.modality.label for item in task.candidates]
    asking = sorted({item.modality.label for item in task.queries})
    targets = [target.label for target in task.target_modality]
    return TaskResult(
        task=task.name,
        split=task.split,
        family=task.family,
        kind=f"{'/'.join(asking)}→{'/'.join(sorted(set(targets)))}",
        candidates=len(task.candidates),
        rank_Q=tuple(rank_Q.tolist()),
        target_Q=tuple(targets),
        first_Q=tuple(modality_C[place] for place in score_QC.argmax(1).tolist()),
    )


def modality_gap(tasks: Sequence[Task], vectors: dict[str, Vectors]) -> dict[str, float]:
    """Distances between the mean vectors of candidates of two modalities (Liang et al., 2022).

    Returns:
        By the pair's name, `image|text`, and their mean as `mean`.
    """
    by_modality: dict[str, dict[str, Vectors]] = {}
    for task in tasks:
        for item in task.candidates:
            name = content_id(item)
            by_modality.setdefault(item.modality.label, {})[name] = vectors[name]
    centre = {name: np.mean(list(rows.values()), axis=0) for name, rows in by_modality.items()}
    gaps = {
        f"{one}|{other}": float(np.linalg.norm(centre[one] - centre[other]))
        for one, other in combinations(sorted(centre), 2)
    }
    return gaps | ({"mean": sum(gaps.values()) / len(gaps)} if gaps else {})


def _matrix(items: Sequence[Item], vectors: dict[str, Vectors]) -> Vectors:
    return np.stack([vectors[content_id(item)] for item in items])
