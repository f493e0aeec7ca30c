from __future__ import annotations

from dataclasses import replace

import pytest
from tests.evaluation.fakes import Compass

from unite.errors import DataError
from unite.evaluation.runner import run_tasks
from unite.evaluation.task import Task, union
from unite.types import Clip, Item, Modality


def task(name: str, gallery: tuple[Item, ...], nframes: int | None = None) -> Task:
    return Task(
        name=name, split="test", family="coarse",
        queries=tuple(Item(text=f"{name}{n}", id=str(n)) for n in range(len(gallery))),
        candidates=gallery,
        positives=tuple(frozenset({n}) for n in range(len(gallery))),
        target_modality=tuple(item.modality for item in gallery),
        nframes=nframes,
    )  # fmt: skip


PICTURES = (Item(images=("p0",), id="0"), Item(images=("p1",), id="1"))
CLIPS = (Item(videos=(Clip("v0"),), id="0"), Item(videos=(Clip("v1"),), id="1"))


def test_a_union_asks_everything_of_everything() -> None:
    images, clips = task("i", PICTURES), task("v", CLIPS, 8)
    mixed = union([images, clips])
    assert [item.id for item in mixed.candidates] == [
        "test/i/0", "test/i/1", "test/v/0", "test/v/1",
    ]  # fmt: skip
    assert mixed.positives == tuple(frozenset({n}) for n in range(4))
    assert mixed.nframes == 8
    assert set(mixed.target_modality) == {Modality.IMAGE, Modality.VIDEO}
    # i0 lies nearer to v0 than to its own p0: right in its own gallery, wrong in the union.
    encoder = Compass({"i0": 0.0, "i1": 1.0, "p0": 0.2, "p1": 1.0, "v0": 0.1, "v1": 2.0})
    own, both = run_tasks(encoder, [images, replace(mixed, queries=mixed.queries[:2],
                          positives=mixed.positives[:2],
                          target_modality=mixed.target_modality[:2])])  # fmt: skip
    assert own.recall[1] == 1.0
    assert both.recall[1] == 0.5
    assert both.wrong_modality == 0.5


def test_what_cannot_share_a_gallery_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[4, 8\] frames"):
        union([task("a", CLIPS, 4), task("b", CLIPS, 8)])
    own = replace(task("a", PICTURES), pools=((0,), (1,)))
    with pytest.raises(DataError, match="rules of its own"):
        union([own])
    with pytest.raises(DataError, match="nothing is left to mix"):
        union([replace(task("a", PICTURES), family="mixed")])


def test_groups_of_queries_are_kept_apart() -> None:
    images = task("i", PICTURES)
    assert len(images.queries) == 2
    mixed = union([replace(images, query_groups=(3, 3)), images])
    assert mixed.query_groups == (3, 3, 4, 5)


def test_a_candidate_of_two_tasks_is_one_and_answers_the_queries_of_both() -> None:
    mixed = union([task("i", PICTURES), replace(task("i", PICTURES[::-1]), split="other")])
    assert len(mixed.candidates) == 2
    assert mixed.positives == tuple(frozenset({n}) for n in (0, 1, 1, 0))
    assert len({item.id for item in mixed.queries}) == 4


def test_mixed_tasks_are_not_mixed_again() -> None:
    images = task("i", PICTURES)
    assert union([images, union([images])]) == union([images])


def test_a_query_that_is_a_candidate_elsewhere_does_not_find_itself() -> None:
    """Both directions of a set: a perfect model is perfect in the union too."""
    words = tuple(Item(text=f"w{n}", id=str(n)) for n in range(2))
    asked = replace(words[0], instruction="find the picture:"), words[1]
    there = replace(task("t2i", PICTURES), queries=asked)
    back = replace(task("i2t", words), queries=PICTURES)
    mixed = union([there, back])
    assert mixed.excluded == tuple(frozenset({n}) for n in (2, 3, 0, 1))
    encoder = Compass({"w0": 0.0, "p0": 0.01, "w1": 1.0, "p1": 1.01})
    assert [score.main for score in run_tasks(encoder, [there, back, mixed])] == [1.0, 1.0, 1.0]
    found = union([replace(there, queries=PICTURES)])  # each asks for itself: it counts
    assert not found.excluded
