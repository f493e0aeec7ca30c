from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from unite.evaluation.significance import corrected, interval, paired_difference


def test_the_interval_equals_that_of_scipy() -> None:
    values = np.random.default_rng(5).random(80)
    ours = interval(values, seed=1, draws=20_000)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = interval((rng.random(100) < 0.6).astype(float), seed=trial, draws=300)
        covered += low <= 0.6 <= high
    assert 180 <= covered <= 200


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.arange(30.0)
    assert interval(values, seed=4) == interval(values, seed=4) != interval(values, seed=5)
    assert interval(np.zeros(0)) == (0.0, 0.0)


def test_the_p_value_equals_that_of_scipy() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.random(12), rng.random(12) + 0.2
    ours = paired_difference(first, second, draws=20_000)
    theirs = permutation_test(
        (first, second), lambda a, b: np.mean(b - a), permutation_type="samples"
    ).pvalue
    assert ours.p == pytest.approx(theirs, abs=0.01)
    assert ours.mean == pytest.approx(np.mean(second - first))
    assert ours.low < ours.mean < ours.high


def test_equal_runs_do_not_differ_and_very_unequal_ones_do() -> None:
    ones, zeros = np.ones(40), np.zeros(40)
    assert paired_difference(ones, ones).p == 1.0
    clear = paired_difference(zeros, ones)
    assert clear.p == pytest.approx(1 / 10_001)
    assert (clear.mean, clear.low, clear.high, clear.queries) == (1.0, 1.0, 1.0, 40)


def test_the_queries_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="not the same queries"):
        paired_difference(np.ones(3), np.ones(4))


def test_groups_are_drawn_together() -> None:
    rng = np.random.default_rng(3)
    by_group = rng.random(40)
    values, groups = np.repeat(by_group, 5), np.repeat(np.arange(40), 5)
    assert interval(values, groups=groups.tolist(), seed=2) == pytest.approx(
        interval(by_group, seed=2)  # copies of a query are no more evidence than one
    )
    low, high = interval(values, seed=2)
    assert high - low < 0.6 * np.subtract(*interval(by_group, seed=2)[::-1])


def test_groups_of_unequal_size_keep_the_mean_over_queries() -> None:
    values, groups = np.array([1.0, 1.0, 1.0, 0.0]), [7, 7, 7, 2]
    low, high = interval(values, groups=groups, seed=0)
    assert (low, high) == (0.0, 1.0)
    found = paired_difference(np.zeros(4), values, groups=groups)
    assert (found.mean, found.queries) == (0.75, 4)
    assert found.p == pytest.approx(1.0, abs=0.01)  # one medium changed


def test_the_correction_is_holms_by_hand_and_keeps_the_order_of_tests() -> None:
    assert corrected([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert corrected([0.4, 0.3]) == pytest.approx([0.6, 0.6])
    assert corrected([0.02]) == [0.02]
    assert corrected([]) == []


def test_of_many_comparisons_of_nothing_few_find_something() -> None:
    """Twenty tests at 5 % find something in 64 % of comparisons, corrected in 5 %."""
    draws = np.random.default_rng(4).random((4000, 20))
    plain = (draws.min(axis=1) < 0.05).mean()
    assert plain == pytest.approx(1 - 0.95**20, abs=0.03)
    found = np.mean([min(corrected(row)) < 0.05 for row in draws.tolist()])
    assert found == pytest.approx(0.05, abs=0.012)


def test_without_groups_each_query_is_one() -> None:
    values = np.random.default_rng(1).random(50)
    assert interval(values, groups=range(50), seed=1) == interval(values, seed=1)
