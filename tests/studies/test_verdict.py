"""Verdicts on numbers made by hand: each of the three, and none."""

from dataclasses import replace
from itertools import permutations

import pytest
from tests.studies.conftest import Made, ranks

from unite.studies.comparison import Answer, Comparison
from unite.studies.families import FINE, PURE, TEMPORAL
from unite.studies.verdict import Claim, Floor, judge, rule

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


def test_seeds_that_disagree_leave_it_open(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (70, 40, 60)], "b": [ranks(h) for h in (50, 60, 55)]})
    found = judge(claim(0.0), outcomes, FLOOR)
    assert found.ruling == "open"
    assert found.findings[0].answer == "open"


def test_one_yes_and_one_no_are_mixed(made: Made) -> None:
    outcomes = made({"a": [ranks(h) for h in (70, 71, 72)], "b": [ranks(h) for h in (40, 41, 42)]})
    found = judge(claim(0.0, 0.6), outcomes, FLOOR)
    assert [finding.answer for finding in found.findings] == ["yes", "no"]
    assert found.ruling == "mixed"
    assert found.reason == "of 2 comparisons: 1 yes, 1 no"
    both = judge(replace(claim(0.0, 0.6), joint=True), outcomes, FLOOR)
    assert both.ruling == "not supported"
    assert both.reason == "of 2 comparisons, none of which may say no: 1 yes, 1 no"


def test_a_match_needs_an_interval_within_the_margin(made: Made) -> None:
    same = [ranks(h) for h in (60, 61, 62)]
    outcomes = made({"a": same, "b": same})
    assert judge(claim(-0.01), outcomes, FLOOR).ruling == "supported"
    assert judge(claim(0.0), outcomes, FLOOR).ruling == "open"  # equal is not better


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


def test_a_reference_of_which_nothing_is_measured_gives_none(made: Made) -> None:
    outcomes = made({"a": [ranks(70)] * 3, "b": [ranks(60)] * 3})
    found = judge(claim(0.0), outcomes, Floor("b", TEMPORAL, 0.3))
    assert found.ruling == "no verdict"
    assert found.reason == "no task counts for 'temporal', by which the reference is judged"


@pytest.mark.parametrize(
    ("answers", "ruling", "joint"),
    [
        (["yes", "yes"], "supported", "supported"),
        (["no", "no"], "not supported", "not supported"),
        (["no", "open"], "not supported", "not supported"),
        (["yes", "open"], "mixed", "mixed"),
        (["yes", "no"], "mixed", "not supported"),
        (["yes", "open", "no"], "mixed", "not supported"),
        (["open", "open"], "open", "open"),
    ],
)
def test_the_rule(answers: list[Answer], ruling: str, joint: str) -> None:
    for order in permutations(answers):
        assert rule(order) == ruling
        assert rule(order, joint=True) == joint
