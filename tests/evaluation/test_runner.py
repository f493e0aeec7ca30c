from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.fakes import Compass, parts

from unite.evaluation.results import Score
from unite.evaluation.runner import run, run_tasks
from unite.evaluation.task import Task
from unite.types import Clip, Embedding, Item

ANGLES: dict[str, float | None] = {
    "a": 0.0, "b": 1.0, "c": 2.0, "p0": 0.1, "p1": 1.4, "p2": 2.1, "v0": 0.05, "v1": 1.1,
}  # fmt: skip
PICTURES = tuple(Item(images=(name,), id=name) for name in ("p0", "p1", "p2"))
CLIPS = tuple(Item(videos=(Clip(name),), id=name) for name in ("v0", "v1"))
MIXED = (*PICTURES, *CLIPS)


def task(
    queries: dict[str, set[int]],
    candidates: tuple[Item, ...],
    name: str = "t",
    split: str = "test",
    nframes: int | None = None,
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
        nframes=nframes,
    )


def scored(of: Task, angles: dict[str, float | None] = ANGLES) -> Score:
    (score,) = run_tasks(Compass(angles), [of])
    return score


def test_one_modality_by_hand() -> None:
    score = scored(task({"a": {0}, "b": {2}, "c": {2}}, PICTURES))
    # b (1.0) lies nearest p1 (1.4), then p0 (0.9 off), then p2 (1.1 off)
    assert score.recall == {1: pytest.approx(2 / 3), 5: 1.0, 10: 1.0}
    assert score.metrics["MeanR"] == pytest.approx((1 + 3 + 1) / 3)
    assert score.metrics["MedR"] == 1
    assert score.metrics["MRR"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert (score.queries, score.candidates) == (3, 3)
    assert (score.task, score.split, score.family) == ("t", "test", "coarse")
    assert score.wrong_modality is None
    assert score.by_target == {}
    low, high = score.intervals["R@1"]
    assert low <= score.main <= high


def test_a_gallery_of_two_modalities_by_hand() -> None:
    # a finds v0 though p0 was wanted; b finds v1, which is wanted; c finds p2, wanted.
    score = scored(task({"a": {0}, "b": {4}, "c": {2}}, MIXED))
    assert score.wrong_modality == pytest.approx(1 / 3)
    assert score.recall[1] == pytest.approx(2 / 3)
    assert score.by_target == {"image": 0.5, "video": 1.0}


def test_of_the_right_modality_but_wrong_is_not_of_the_wrong_modality() -> None:
    score = scored(task({"a": {4}}, MIXED))
    assert score.recall[1] == 0.0
    assert score.wrong_modality == 0.0


def test_of_the_modality_of_any_answer_is_right() -> None:
    """A set of one's own may be answered by a note as well as by a picture."""
    assert scored(task({"a": {1, 3}}, MIXED)).wrong_modality == 0.0  # finds v0, which answers


def test_what_was_fitted_is_not_kept_for_a_model_that_does_not_fit(tmp_path: Path) -> None:
    class Fitting(Compass):
        fits = True

    tasks = [task({"a": {0}}, CLIPS)]
    run(tasks, lambda nframes: Fitting(ANGLES), cache=tmp_path)
    plain, again = Compass({**ANGLES, "v1": None}), Fitting(ANGLES)
    (result,) = run(tasks, lambda nframes: plain, cache=tmp_path).results
    assert [failure.id for failure in result.failures] == ["v1"]
    run(tasks, lambda nframes: again, cache=tmp_path)
    assert not again.asked


def test_a_model_that_tells_nothing_apart_gains_nothing() -> None:
    score = scored(task({"a": {1}, "b": {2}, "c": {0}}, PICTURES), dict.fromkeys(ANGLES, 0.5))
    assert score.recall[1] == pytest.approx(1 / 3)


def test_every_distinct_item_is_embedded_once_whatever_its_id() -> None:
    encoder = Compass(ANGLES)
    renamed = tuple(Item(images=item.images, id=f"other {item.id}") for item in PICTURES)
    calls: list[tuple[int, int]] = []
    scores = run_tasks(
        encoder,
        [task({"a": {0}, "b": {1}}, PICTURES), task({"b": {1}, "c": {2}}, renamed, "u", "val")],
        lambda done, total: calls.append((done, total)),
    )
    assert [(score.task, score.split) for score in scores] == [("t", "test"), ("u", "val")]
    assert sorted(map(parts, encoder.asked)) == ["a", "b", "c", "p0", "p1", "p2"]
    assert {item.id for item in encoder.asked} == {None}
    assert calls == [(number, 6) for number in range(1, 7)]


def test_only_clips_are_embedded_again_for_other_frames() -> None:
    opened: dict[int | None, Compass] = {}

    def encoder_for(nframes: int | None) -> Compass:
        assert nframes not in opened, "opened twice"
        opened[nframes] = Compass(ANGLES, f"compass-{nframes}")
        return opened[nframes]

    done = run(
        [
            task({"a": {0}}, CLIPS, "few", nframes=4),
            task({"a": {0}}, CLIPS, "many", nframes=8),
            task({"a": {0}}, PICTURES, "none", nframes=8),
        ],
        encoder_for,
    )
    assert {frames: sorted(map(parts, one.asked)) for frames, one in opened.items()} == {
        None: ["a", "p0", "p1", "p2"], 4: ["v0", "v1"], 8: ["v0", "v1"],
    }  # fmt: skip
    assert done.model_ids == {None: "compass-None", 4: "compass-4", 8: "compass-8"}


def test_what_cannot_be_embedded_is_told_and_counts_as_missed() -> None:
    # p0 would be far worse than the broken p1 for c, were that a row of zeros of score 0.
    angles = {**ANGLES, "p1": None, "b": None, "p0": 4.0}
    (result,) = run(
        [task({"a": {0}, "b": {0}, "c": {1, 2}, "p2": {1}}, PICTURES)],
        lambda nframes: Compass({**angles, "p2": 2.1}),
    ).results
    assert [ranks.tolist() for ranks in result.ranks] == [[2], [np.inf], [1, np.inf], [np.inf]]
    assert result.score.recall == {1: 0.25, 5: 0.5, 10: 0.5}
    assert (result.score.failed_queries, result.score.failed_candidates) == (1, 1)
    assert [(one.side, one.id, one.error) for one in result.failures] == [
        ("query", "q-b", "it is broken"), ("candidate", "p1", "it is broken"),
    ]  # fmt: skip
    assert all("p1" not in dict(hits) for hits in result.hits)


def test_each_query_asked_of_its_own_candidates_by_hand() -> None:
    own = Task(
        name="own", split="test", family="vqa",
        queries=(Item(text="a", id="0"), Item(text="a", id="1")),
        candidates=PICTURES,
        positives=(frozenset({1}), frozenset({1})),
        target_modality=(PICTURES[0].modality,) * 2,
        metrics=("P@1",),
        pools=((1, 2), (1, 0)),
    )  # fmt: skip
    (result,) = run([own], lambda nframes: Compass(ANGLES)).results
    assert [ranks.tolist() for ranks in result.ranks] == [[1], [2]]  # p0 is nearer than p1
    assert (result.score.main_score, result.score.main) == ("P@1", 0.5)
    assert [[name for name, _ in hits] for hits in result.hits] == [["p1", "p2"], ["p0", "p1"]]


def test_what_is_excluded_for_a_query_does_not_count_for_it() -> None:
    plain = task({"a": {1}, "b": {1}}, PICTURES)
    barred = Task(
        **{name: getattr(plain, name) for name in Task.__slots__ if name != "excluded"},
        excluded=(frozenset({0}), frozenset()),
    )
    results = run([plain, barred], lambda nframes: Compass(ANGLES)).results
    assert [[ranks.tolist() for ranks in result.ranks] for result in results] == [
        [[2], [1]], [[1], [1]],
    ]  # fmt: skip


def test_dual_softmax_stands_beside_and_changes_no_headline() -> None:
    of = task({"a": {0}, "b": {1}, "c": {2}}, PICTURES)
    plain = run([of], lambda nframes: Compass(ANGLES)).results[0].score
    beside = run([of], lambda nframes: Compass(ANGLES), rerank=True).results[0].score
    assert plain.reranked is None
    assert beside.reranked is not None
    assert beside.reranked["R@1"] == 1.0
    assert beside.metrics == plain.metrics


class Interrupted(Compass):
    """Stops in the middle, as a person with Ctrl-C does."""

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for number, result in enumerate(super().embed(items)):
            if number == 3:
                raise KeyboardInterrupt
            yield result


def test_an_interrupted_run_goes_on_and_a_finished_one_embeds_nothing(tmp_path: Path) -> None:
    tasks = [task({"a": {0}, "b": {2}, "c": {2}}, PICTURES)]
    with pytest.raises(KeyboardInterrupt):
        run(tasks, lambda nframes: Interrupted(ANGLES), cache=tmp_path)
    second, third = Compass(ANGLES), Compass(ANGLES)
    calls: list[tuple[int, int]] = []
    whole = run(tasks, lambda n: second, cache=tmp_path, progress=lambda *at: calls.append(at))
    assert len(second.asked) == 3
    assert calls == [(4, 6), (5, 6), (6, 6)]
    again = run(tasks, lambda nframes: third, cache=tmp_path)
    assert third.asked == []
    fresh = run(tasks, lambda nframes: Compass(ANGLES))
    assert again.results[0].score == whole.results[0].score == fresh.results[0].score


def test_another_model_shares_no_vectors(tmp_path: Path) -> None:
    tasks, other = [task({"a": {0}}, PICTURES)], Compass(ANGLES, "other")
    run(tasks, lambda nframes: Compass(ANGLES), cache=tmp_path)
    run(tasks, lambda nframes: other, cache=tmp_path)
    assert len(other.asked) == 4


def test_another_dtype_shares_no_vectors(tmp_path: Path) -> None:
    tasks, rounded = [task({"a": {0}}, PICTURES)], Compass(ANGLES)
    rounded.dtype = "bfloat16"
    run(tasks, lambda nframes: Compass(ANGLES), cache=tmp_path)
    done = run(tasks, lambda nframes: rounded, cache=tmp_path)
    assert len(rounded.asked) == 4
    assert done.dtypes == ["bfloat16"]


class Blind(Compass):
    """Gives a vector that nothing can be compared with."""

    def __init__(self, vector: list[float]) -> None:
        super().__init__(ANGLES)
        self.vector = vector

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item in items:
            self.asked.append(item)
            yield Embedding(np.array(self.vector, np.float32))


@pytest.mark.parametrize("vector", [[np.nan, np.nan], [1.0, np.inf], [0.0, 0.0], [1.0]])
def test_a_vector_of_no_use_is_a_failure_and_is_not_kept(
    tmp_path: Path, vector: list[float]
) -> None:
    tasks = [task({"a": {0}, "b": {1}}, PICTURES)]
    (result,) = run(tasks, lambda nframes: Blind(vector), cache=tmp_path).results
    assert result.score.recall[10] == 0.0
    assert (result.score.failed_queries, result.score.failed_candidates) == (2, 3)
    assert all("vector" in failure.error for failure in result.failures)
    again = Compass(ANGLES)
    run(tasks, lambda nframes: again, cache=tmp_path)
    assert len(again.asked) == 5


class Meddler(Compass):
    """While it embeds, somebody writes to the files."""

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item, result in zip(known := list(items), super().embed(known), strict=True):
            for image in item.images:
                Path(str(image)).write_bytes(b"changed")
            yield result


def test_a_file_that_changes_meanwhile_is_scored_and_not_kept(tmp_path: Path) -> None:
    pictures = tuple(Item(images=(str(tmp_path / f"p{n}"),), id=f"p{n}") for n in range(3))
    (tmp_path / "p0").write_bytes(b"whole")  # p1 and p2 appear while p0 is embedded
    tasks = [task({"a": {0}, "b": {1}}, pictures)]
    (result,) = run(tasks, lambda nframes: Meddler(ANGLES), cache=tmp_path / "kept").results
    assert result.score.recall[10] == 1.0
    again = Compass(ANGLES)
    run(tasks, lambda nframes: again, cache=tmp_path / "kept")
    assert sorted(map(parts, again.asked)) == ["p0", "p1", "p2"]


def test_of_a_group_only_the_nearest_counts() -> None:
    # c (2.0) is asked of p0 | p1 p2: p1 and p2 are one medium's; p0 is far behind both.
    alone = task({"c": {0}}, PICTURES)
    grouped = replace(alone, candidate_groups=(0, 1, 1))
    results = run([alone, grouped], lambda nframes: Compass(ANGLES)).results
    assert [[ranks.tolist() for ranks in result.ranks] for result in results] == [[[3]], [[2]]]
    assert [result.score.candidates for result in results] == [3, 2]
    assert [name for name, _ in results[1].hits[0]] == ["p2", "p0"]


def test_an_answer_of_a_group_is_its_nearest() -> None:
    of = replace(task({"b": {1, 2}}, PICTURES), candidate_groups=(0, 1, 1))
    (result,) = run([of], lambda nframes: Compass(ANGLES), rerank=True).results
    assert [ranks.tolist() for ranks in result.ranks] == [[1]]  # p1, and p2 is not there
    assert result.score.metrics["mAP"] == 1.0
    assert result.score.reranked is not None
    assert result.score.reranked["mAP"] == 1.0


def test_the_dead_of_a_group_do_not_stand_for_it() -> None:
    of = replace(task({"c": {1, 2}}, PICTURES), candidate_groups=(0, 1, 1))
    (result,) = run([of], lambda nframes: Compass({**ANGLES, "p2": None})).results
    assert [ranks.tolist() for ranks in result.ranks] == [[1]]  # p1, nearer than p0
    (result,) = run([of], lambda nframes: Compass({**ANGLES, "p1": None, "p2": None})).results
    assert [ranks.tolist() for ranks in result.ranks] == [[np.inf]]


def test_pools_tell_their_sizes() -> None:
    own = replace(task({"a": {0}, "b": {1}}, PICTURES), pools=((0, 1, 2), (1, 2)))
    (score,) = run_tasks(Compass(ANGLES), [own])
    assert score.pools == (2, 3)
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_no_tasks_no_scores() -> None:
    assert run_tasks(Compass(ANGLES), []) == []


def test_the_order_of_queries_and_candidates_changes_nothing() -> None:
    names = ("a", "b", "c")
    gallery = tuple(Item(images=(name,), id=name) for name in ("p0", "p1", "p2"))
    same: dict[str, float | None] = {**ANGLES, "p1": 0.1}  # p0 and p1 tie
    straight = run([task({n: {i} for i, n in enumerate(names)}, gallery)], lambda n: Compass(same))
    turned = run(
        [task({n: {2 - i} for i, n in enumerate(names)}, gallery[::-1])], lambda n: Compass(same)
    )
    assert straight.results[0].score == turned.results[0].score


class Stretched(Compass):
    """Vectors of other lengths than 1."""

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for number, part in enumerate(super().embed(items), 1):
            assert part.vector is not None
            yield Embedding(part.vector * np.float32(number))


def test_the_length_of_a_vector_decides_nothing() -> None:
    of = task({"a": {0}, "b": {1}}, PICTURES)
    (long,), (plain,) = run_tasks(Stretched(ANGLES), [of]), run_tasks(Compass(ANGLES), [of])
    assert long.metrics == plain.metrics
