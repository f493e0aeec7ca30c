import math

import numpy as np
import pytest
from tests.studies.conftest import Made, ranks

from unite.studies.comparison import Comparison, answer_of, compare, interval
from unite.studies.families import MIXED, PURE


def test_a_score_that_no_task_has_gives_none(made: Made) -> None:
    outcomes = made({"a": [ranks(70)] * 3, "b": [ranks(40)] * 3})
    finding = compare(Comparison(MIXED, "a", "b"), outcomes)
    assert finding.missing == "no task counts for 'mixed gallery'"


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
