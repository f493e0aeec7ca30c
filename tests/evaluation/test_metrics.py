from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.evaluation.metrics import first_ranks, recall_at

S = np.float32


def test_a_hand_worked_case() -> None:
    score_QC = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.3], [0.1, 0.2, 0.3]], S)
    ranks = first_ranks(score_QC, [{0}, {0}, {1, 2}])
    assert ranks.tolist() == [1, 3, 1]
    assert ranks.dtype == np.int64
    assert recall_at(ranks, 1) == pytest.approx(2 / 3)
    assert recall_at(ranks, 2) == pytest.approx(2 / 3)
    assert recall_at(ranks, 3) == 1.0


def test_ties_go_to_the_smaller_number() -> None:
    same = np.ones((3, 3), S)
    assert first_ranks(same, [{0}, {1}, {2}]).tolist() == [1, 2, 3]
    assert first_ranks(same, [{2, 1}, {0, 2}, {2}]).tolist() == [2, 1, 3]


def test_a_model_that_tells_nothing_apart_gains_nothing() -> None:
    ranks = first_ranks(np.zeros((10, 10), S), [{n} for n in range(10)])
    assert recall_at(ranks, 1) == pytest.approx(0.1)
    assert recall_at(ranks, 5) == pytest.approx(0.5)


def test_no_queries() -> None:
    assert recall_at(first_ranks(np.empty((0, 4), S), []), 1) == 0.0


def test_one_answer_set_for_each_query() -> None:
    with pytest.raises(ValueError):
        first_ranks(np.zeros((2, 3), S), [{0}])


@given(st.data())
def test_equals_a_full_sort(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    row = st.lists(st.integers(-2, 2), min_size=count, max_size=count)  # many ties
    scores = data.draw(st.lists(row, min_size=1, max_size=4))
    answers = [
        data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3)) for _ in scores
    ]
    ranks = first_ranks(np.array(scores, S), answers)
    for score_C, positives, rank in zip(scores, answers, ranks, strict=True):
        order = sorted(range(count), key=lambda number: (-score_C[number], number))
        assert rank == min(order.index(positive) for positive in positives) + 1
    for k in range(1, count + 1):
        assert recall_at(ranks, k) == pytest.approx(np.mean([rank <= k for rank in ranks]))


@given(st.integers(0, 1000), st.integers(2, 20))
def test_recall_grows_with_depth_and_ends_at_one(seed: int, count: int) -> None:
    score_QC = np.random.default_rng(seed).normal(size=(6, count)).astype(S)
    ranks = first_ranks(score_QC, [{seed % count}] * 6)
    recalls = [recall_at(ranks, k) for k in range(count + 1)]
    assert recalls == sorted(recalls)
    assert recalls[0] == 0.0
    assert recalls[-1] == 1.0
