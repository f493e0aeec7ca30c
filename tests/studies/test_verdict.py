"""Verdicts on numbers made by hand: each of the three, and none."""

import math

import numpy as np
import pytest
from tests.studies.conftest import Made, ranks

from unite.studies.families import FINE, MIXED, PURE
from unite.studies.verdict import (
    Answer,
    Claim,
    Comparison,
    Floor,
    answer_of,
    compare,
    interval,
    judge,
    rule,
)

FLOOR = Floor("b", FINE, 0.3)


def claim(*bounds: float) -> Claim:
    comparisons = tuple(Comparison(PURE, "a", "b", bound) for bound in bounds)
    return Claim("a beats b.", "nobody", comparisons)


def test_a_clear_gain_in_every_seed_is_supported(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (70, 71, 72)], "b": [ranks(h) for h in (40, 41, 42)]})
    found = judge(claim(0.0), outcomes, FLOOR)
    assert found.ruling == "supported"
    assert found.findings[0].mean == pytest.approx(0.30)
    assert found.findings[0].low > 0.2
    assert found.findings[0].p == pytest.approx(0.0, abs=0.01)


def test_a_clear_loss_is_not_supported(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (40, 41, 42)], "b": [ranks(h) for h in (70, 71, 72)]})
    assert judge(claim(0.0), outcomes, FLOOR).ruling == "not supported"


def test_seeds_that_disagree_are_mixed(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (70, 40, 60)], "b": [ranks(h) for h in (50, 60, 55)]})
    found = judge(claim(0.0), outcomes, FLOOR)
    assert found.ruling == "mixed"
    assert found.findings[0].answer == "open"


def test_one_yes_and_one_no_are_mixed(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (70, 71, 72)], "b": [ranks(h) for h in (40, 41, 42)]})
    found = judge(claim(0.0, 0.6), outcomes, FLOOR)
    assert [finding.answer for finding in found.findings] == ["yes", "no"]
    assert found.ruling == "mixed"
    assert found.reason == "of 2 comparisons: 1 yes, 1 no"


def test_a_match_needs_an_interval_within_the_margin(made: Made) -> None:
    same = [ranks(h) for h in (60, 61, 62)]
    outcomes = made({"a": same, "b": same})
    assert judge(claim(-0.01), outcomes, FLOOR).ruling == "supported"
    assert judge(claim(0.0), outcomes, FLOOR).ruling == "mixed"  # equal is not better


@pytest.mark.parametrize(
    ("a", "reason"),
    [([60, 60], "2 finished seeds in common"), ([60, 60, 0], "2 finished seeds in common")],
)
def test_fewer_than_three_seeds_give_none(made: Made, a: list[int], reason: str) -> None:
    outcomes = made({"a": [ranks(h) if h else [] for h in a], "b": [ranks(50)] * 3})
    found = judge(claim(0.0), outcomes, FLOOR)
    assert found.ruling == "no verdict"
    assert reason in found.reason


def test_a_reference_that_has_not_learned_gives_none(made: Made) -> None:
    outcomes = made({"a": [ranks(70)] * 3, "b": [ranks(29)] * 3})
    found = judge(claim(0.0), outcomes, FLOOR)
    assert found.ruling == "no verdict"
    assert "R@1 0.290 in 'fine', 0.30 was stated beforehand" in found.reason
    outcomes = made({"a": [ranks(70)] * 3, "b": [ranks(30)] * 3})
    assert judge(claim(0.0), outcomes, FLOOR).ruling == "supported"


def test_a_score_that_no_task_has_gives_none(made: Made) -> None:
    outcomes = made({"a": [ranks(70)] * 3, "b": [ranks(40)] * 3})
    finding = compare(Comparison(MIXED, "a", "b"), outcomes)
    assert finding.missing == "no task counts for 'mixed gallery'"


@pytest.mark.parametrize(
    ("answers", "ruling"),
    [
        (["yes", "yes"], "supported"),
        (["no", "no"], "not supported"),
        (["no", "open"], "not supported"),
        (["yes", "open"], "mixed"),
        (["yes", "no"], "mixed"),
        (["open"], "mixed"),
    ],
)
def test_the_rule(answers: list[Answer], ruling: str) -> None:
    assert rule(answers) == ruling


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.01, 0.02, "yes"), (-0.02, -0.01, "no"), (-0.01, 0.01, "open"), (0.0, 0.0, "open")],
)
def test_an_interval_answers_a_bound(low: float, high: float, answer: str) -> None:
    assert answer_of(low, high, 0.0) == answer


def test_the_interval_by_hand() -> None:
    """Three seeds: Student's t of two degrees of freedom is 4.3027; sd of 1, 2, 3 is 1."""
    low, high = interval([1.0, 2.0, 3.0], 0.5)
    half = math.hypot(4.302653 / math.sqrt(3), 1.959964 * 0.5)
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Seeds and queries both vary; intervals are a little too wide, as the module says."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        queries = rng.normal(0, 0.4, 100)  # the same for all seeds
        noise = rng.normal(0, 0.4, (3, 100))
        seeds = (queries + noise).mean(1) + rng.normal(0, 0.02, 3)
        error = (queries + noise.mean(0)).std(ddof=1) / 10
        low, high = interval(seeds.tolist(), float(error))
        inside += low <= 0 <= high
    assert inside / 400 > 0.93


def test_queries_are_paired(made: Made) -> None:
    """Where both arms answer the same queries, what they share is no uncertainty."""
    half = [1, 2] * 50
    better = [1, 2] * 45 + [1] * 10
    outcomes = made({"a": [better] * 3, "b": [half] * 3})
    finding = compare(Comparison(PURE, "a", "b"), outcomes)
    assert finding.mean == pytest.approx(0.05)
    assert finding.high - finding.low == pytest.approx(2 * 1.959964 * math.sqrt(0.05 * 0.95 / 99))
