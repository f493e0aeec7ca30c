"""Runs tasks with an encoder. Every distinct item is embedded once across all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from unite.data.records import content_id
from unite.errors import DataError
from unite.evaluation.metrics import Scores, first_ranks, recall_at
from unite.evaluation.task import Task
from unite.types import Encoder, Item, Modality, Vector

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Score:
    """What a model reached in one task.

    Attributes:
        recall: Share of queries answered among the first k, by k.
        wrong_modality: Share of queries whose first hit is of another modality than wanted;
            None where the gallery has one modality only.
        by_target: R@1 for each target modality, where a task has several.
    """

    task: str
    split: str
    family: str
    queries: int
    candidates: int
    recall: dict[int, float]
    wrong_modality: float | None
    by_target: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Score:
        """Read what `to_json` wrote; JSON has turned the depths into strings."""
        recall = {int(depth): value for depth, value in row["recall"].items()}
        return cls(**{**row, "recall": recall})


def run_tasks(
    encoder: Encoder,
    tasks: Sequence[Task],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:
    """Score a model on tasks.

    Args:
        encoder: The model.
        tasks: What to run.
        progress: Called with the number of items embedded and the whole.

    Raises:
        DataError: An item cannot be embedded; a benchmark with holes is not scored.
    """
    items = {
        content_id(item): replace(item, id=None)
        for task in tasks
        for item in (*task.queries, *task.candidates)
    }
    vectors: dict[str, Vector] = {}
    for (name, item), result in zip(items.items(), encoder.embed(items.values()), strict=True):
        if result.vector is None:
            raise DataError(f"An item of the suite cannot be embedded: {result.error}", str(item))
        vectors[name] = result.vector
        progress(len(vectors), len(items))
    return [
        _score(task, _matrix(task.queries, vectors), _matrix(task.candidates, vectors))
        for task in tasks
    ]


def _matrix(items: Sequence[Item], vectors: dict[str, Vector]) -> Scores:
    return np.stack([vectors[content_id(item)] for item in items])


def _score(task: Task, query_QD: Scores, candidate_CD: Scores) -> Score:
    score_QC = query_QD @ candidate_CD.T
    ranks = first_ranks(score_QC, [set(answers) for answers in task.positives])
    modality_C = np.array([int(item.modality) for item in task.candidates])
    target_Q = np.array([int(target) for target in task.target_modality])
    wrong = None
    if len(set(modality_C.tolist())) > 1:
        wrong = float((modality_C[score_QC.argmax(1)] != target_Q).mean())
    targets = sorted(set(target_Q.tolist()))
    by_target = {Modality(code).label: recall_at(ranks[target_Q == code], 1) for code in targets}
    return Score(
        task=task.name,
        split=task.split,
        family=task.family,
        queries=len(task.queries),
        candidates=len(task.candidates),
        recall={k: recall_at(ranks, k) for k in DEPTHS},
        wrong_modality=wrong,
        by_target=by_target if len(targets) > 1 else {},
    )
