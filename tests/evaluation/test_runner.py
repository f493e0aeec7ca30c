from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pytest

from unite.errors import DataError
from unite.evaluation.runner import Score, run_tasks
from unite.evaluation.task import Task
from unite.types import Clip, Embedding, Encoder, Item, Modality

TEXT, IMAGE, VIDEO = Modality.TEXT, Modality.IMAGE, Modality.VIDEO


class Table:
    """An encoder that looks its vectors up, by the item's only part."""

    dim = 2
    model_id = "table"

    def __init__(self, angles: Mapping[str, float | None]) -> None:
        self.angles = angles
        self.asked: list[Item] = []

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item in items:
            self.asked.append(item)
            angle = self.angles[key(item)]
            if angle is None:
                yield Embedding(None, error="it is broken")
            else:
                yield Embedding(np.array([np.cos(angle), np.sin(angle)], np.float32))


def key(item: Item) -> str:
    return item.text or str([*item.images, *(clip.path for clip in item.videos)][0])


def task(
    queries: dict[str, set[int]], candidates: tuple[Item, ...], name: str = "t", split: str = "test"
) -> Task:
    positives = tuple(frozenset(answers) for answers in queries.values())
    return Task(
        name=name,
        split=split,
        family="coarse",
        queries=tuple(Item(text=text, id=f"q-{text}") for text in queries),
        candidates=candidates,
        positives=positives,
        target_modality=tuple(candidates[min(answers)].modality for answers in positives),
    )


PICTURES = tuple(Item(images=(name,), id=name) for name in ("p0", "p1", "p2"))
MIXED = (*PICTURES, Item(videos=(Clip("v0"),), id="v0"), Item(videos=(Clip("v1"),), id="v1"))
ANGLES: dict[str, float | None] = {
    "a": 0.0, "b": 1.0, "c": 2.0, "p0": 0.1, "p1": 1.4, "p2": 2.1, "v0": 0.05, "v1": 1.1,
}  # fmt: skip


def test_one_modality_by_hand() -> None:
    (score,) = run_tasks(Table(ANGLES), [task({"a": {0}, "b": {2}, "c": {2}}, PICTURES)])
    # b (1.0) lies nearest p1 (1.4), then p0 (0.9 off), then p2 (1.1 off)
    assert score.recall == {1: pytest.approx(2 / 3), 5: 1.0, 10: 1.0}
    assert (score.queries, score.candidates) == (3, 3)
    assert (score.task, score.split, score.family) == ("t", "test", "coarse")
    assert score.wrong_modality is None
    assert score.by_target == {}


def test_a_gallery_of_two_modalities_by_hand() -> None:
    # a finds v0 though p0 was wanted; b finds v1, which is wanted; c finds p2, wanted.
    (score,) = run_tasks(Table(ANGLES), [task({"a": {0}, "b": {4}, "c": {2}}, MIXED)])
    assert score.wrong_modality == pytest.approx(1 / 3)
    assert score.recall[1] == pytest.approx(2 / 3)
    assert score.by_target == {"image": 0.5, "video": 1.0}


def test_of_the_right_modality_but_wrong_is_not_of_the_wrong_modality() -> None:
    (score,) = run_tasks(Table(ANGLES), [task({"a": {4}}, MIXED)])
    assert score.recall[1] == 0.0
    assert score.wrong_modality == 0.0


def test_several_answers_count_once() -> None:
    (score,) = run_tasks(Table(ANGLES), [task({"a": {1, 2, 0}}, PICTURES)])
    assert score.recall[1] == 1.0


def test_a_model_that_tells_nothing_apart() -> None:
    (score,) = run_tasks(
        Table(dict.fromkeys(ANGLES, 0.5)), [task({"a": {1}, "b": {2}, "c": {0}}, PICTURES)]
    )
    assert score.recall[1] == pytest.approx(1 / 3)


def test_every_distinct_item_is_embedded_once_whatever_its_id() -> None:
    encoder: Encoder = Table(ANGLES)
    renamed = tuple(Item(images=item.images, id="other") for item in PICTURES)
    calls: list[tuple[int, int]] = []
    scores = run_tasks(
        encoder,
        [task({"a": {0}, "b": {1}}, PICTURES), task({"b": {1}, "c": {2}}, renamed, "u", "val")],
        lambda done, total: calls.append((done, total)),
    )
    assert [(score.task, score.split) for score in scores] == [("t", "test"), ("u", "val")]
    asked = encoder.asked  # type: ignore[attr-defined]
    assert sorted(map(key, asked)) == ["a", "b", "c", "p0", "p1", "p2"]
    assert {item.id for item in asked} == {None}
    assert calls == [(number, 6) for number in range(1, 7)]


def test_an_item_that_cannot_be_embedded_ends_the_run() -> None:
    with pytest.raises(DataError, match=r"cannot be embedded: it is broken.*p1"):
        run_tasks(Table({**ANGLES, "p1": None}), [task({"a": {0}}, PICTURES)])


def test_no_tasks_no_scores() -> None:
    assert run_tasks(Table(ANGLES), []) == []


def test_scores_are_read_back() -> None:
    for score in run_tasks(
        Table(ANGLES), [task({"a": {0}, "b": {4}}, MIXED), task({"a": {0}}, PICTURES)]
    ):
        there = Score.from_json(json.loads(json.dumps(score.to_json())))
        assert there == score
        assert list(there.recall) == [1, 5, 10]
