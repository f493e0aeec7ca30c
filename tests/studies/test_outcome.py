import math
from dataclasses import replace

import pytest
from tests.studies.conftest import Made, ranks, task

from unite.errors import StudyError
from unite.studies.families import (
    CAPTIONS,
    FINE,
    IMAGE,
    MIXED,
    PURE,
    TEXT,
    TEXT_ONLY,
    TO_IMAGE,
    TO_VIDEO,
    VIDEO,
    WRONG,
)
from unite.studies.node import FAILURE, RESULT, write_json
from unite.studies.outcome import Metric, Outcome, Outcomes
from unite.studies.scoring import TaskResult


def outcome(*tasks: TaskResult) -> Outcome:
    return Outcome(tasks, {}, 0.0, 0.0, None)


def test_tasks_weigh_equally() -> None:
    found = outcome(task([1] * 10, "a"), task([2] * 90, "b"))
    assert PURE.of(found) == 0.5


def test_queries_for_tuning_and_for_the_test_are_apart() -> None:
    found = outcome(task([1, 1, 2, 2, 1]))
    assert FINE.of(found, "tuning") == 1.0
    assert FINE.of(found, "test") == 0.0
    assert FINE.of(found) == 0.6
    sizes = [len(FINE.values(found, part)["seen_combinations/t2i"]) for part in ("tuning", "test")]
    assert sizes == [3, 2]


def test_the_wrong_modality_is_counted_whatever_the_rank() -> None:
    mixed = TaskResult(
        "mixed", "seen_combinations", "mixed", "text→image/text", 9, (1, 3, 2, 2),
        ("image", "image", "text", "text"), ("image", "text", "text", "image"),
    )  # fmt: skip
    assert WRONG.of(outcome(mixed)) == 0.5
    assert MIXED.of(outcome(mixed)) == 0.25
    assert math.isnan(PURE.of(outcome(mixed)))


def test_queries_can_be_told_by_what_they_ask_for() -> None:
    mixed = TaskResult(
        "mixed", "seen_combinations", "mixed", "text→image/text", 9, (1, 2, 1, 1, 2, 1),
        ("image", "image", "text", "text", "image", "image"), ("image",) * 6,
    )  # fmt: skip
    asked = {name: replace(MIXED, target=name) for name in ("image", "text", "video")}
    assert asked["image"].of(outcome(mixed)) == 0.5
    assert asked["text"].of(outcome(mixed)) == 1.0
    assert math.isnan(asked["video"].of(outcome(mixed)))
    assert replace(WRONG, target="text").of(outcome(mixed)) == 1.0
    # The halves are those of the whole task: the third and fourth query are for the test.
    assert math.isnan(asked["image"].of(outcome(mixed), "test"))
    assert asked["image"].of(outcome(mixed), "tuning") == 0.5


def test_families_go_by_what_is_asked_and_answered() -> None:
    control = task([1], "vt2v_text_only", "composed")
    for metric, counts in ((IMAGE, True), (VIDEO, False), (TEXT, False), (TEXT_ONLY, False)):
        assert bool(metric.values(outcome(task([1])))) is counts
    assert TEXT_ONLY.of(outcome(control)) == 1.0
    assert math.isnan(PURE.of(outcome(control)))


def test_the_best_arm_is_the_first_of_equals(made: Made) -> None:
    outcomes = made({"a": [ranks(50)], "b": [ranks(60)], "c": [ranks(60)], "d": [[]]})
    assert outcomes.best(["a", "b", "c", "d"], PURE, "all") == "b"
    assert outcomes.best(["d"], PURE, "all") is None


def test_runs_that_failed_have_their_reason(made: Made) -> None:
    outcomes = made({"a": [ranks(50), []]})
    assert outcomes.arms == ["a"]
    assert not outcomes.failures
    write_json(outcomes.runs[1].nodes[0].folder / FAILURE, {"error": "no room"})
    assert Outcomes(outcomes.runs).failures == {("a", 1): "stage 1: no room"}


def test_scores_are_in_order_of_seeds(made: Made) -> None:
    outcomes = made({"a": [ranks(50), ranks(60), ranks(70)]})
    metric = Metric("all", lambda _: True)
    assert outcomes.scores("a", metric) == pytest.approx([0.5, 0.6, 0.7])
    assert outcomes.of("a")[0].pairs == 2 * 4 * 16


def test_captions_are_what_stage_one_teaches_in_words_it_knows() -> None:
    def counts(metric: Metric, kind: str, family: str = "fine") -> bool:
        found = outcome(replace(task([1]), kind=kind, family=family))
        return not math.isnan(metric.of(found))

    for kind in ("text→text", "text→image", "text→video"):
        assert counts(CAPTIONS, kind)
        assert counts(CAPTIONS, kind, "coarse")
    for kind in ("image→text", "image→image", "text→image,text", "image,text→text"):
        assert not counts(CAPTIONS, kind)
    assert not counts(CAPTIONS, "text→video", "temporal")
    assert (counts(TO_IMAGE, "text→image"), counts(TO_IMAGE, "text→video")) == (True, False)
    assert (counts(TO_VIDEO, "text→video"), counts(TO_VIDEO, "video→text")) == (True, False)


def test_captions_of_one_medium_count_as_one() -> None:
    one = replace(task([1, 1, 2, 1]), group_Q=(0, 0, 1, 1))
    (value_G,) = PURE.values(outcome(one)).values()
    assert value_G.tolist() == [1.0, 0.5]
    assert TaskResult.from_json(one.to_json()) == one
    assert "group_Q" not in task([1]).to_json()


@pytest.mark.parametrize("text", ["", '{"tasks": [{"ta', "[]", "{}", '{"tasks": [{}]}'])
def test_a_damaged_result_is_named(made: Made, text: str) -> None:
    outcomes = made({"a": [ranks(50)]})
    path = outcomes.runs[0].last.folder / RESULT
    path.write_text(text)
    with pytest.raises(StudyError, match=rf"{path} is damaged: .*Copy it again"):
        Outcomes(outcomes.runs)


def test_a_model_that_could_not_be_scored_is_one_to_start_from(made: Made) -> None:
    outcomes = made({"a": [ranks(50)]})
    (run,) = outcomes.runs
    (run.last.folder / RESULT).unlink()
    write_json(run.nodes[0].folder / FAILURE, {"error": "no picture"})
    assert run.reason is None
    write_json(run.last.folder / FAILURE, {"error": "no room"})
    assert run.reason == "stage 2: no room"
