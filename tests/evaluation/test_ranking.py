from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.evaluation.ranking import answer_ranks, dual_softmax, exact_scores, places, settled


def test_ties_go_by_id_and_not_by_number() -> None:
    same = np.ones(3)
    place_C = places(["c", "a", "b"])
    assert [answer_ranks(same, [number], place_C).tolist() for number in range(3)] == [
        [3],
        [1],
        [2],
    ]
    assert answer_ranks(same, [0, 2], place_C).tolist() == [2, 3]


def test_what_is_not_in_the_gallery_is_never_found_and_stands_before_nothing() -> None:
    score_C = np.array([0.1, -np.inf, -0.9])
    place_C = places(["a", "b", "c"])
    assert answer_ranks(score_C, [1], place_C).tolist() == [np.inf]
    assert answer_ranks(score_C, [2], place_C).tolist() == [2]


@given(st.data())
def test_equals_a_full_sort(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    scores = np.array(
        data.draw(st.lists(st.integers(-2, 2), min_size=count, max_size=count)), float
    )
    ids = data.draw(st.permutations([f"id{number}" for number in range(count)]))
    answers = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    order = sorted(range(count), key=lambda number: (-scores[number], ids[number]))
    expected = sorted(order.index(answer) + 1 for answer in answers)
    assert answer_ranks(scores, answers, places(ids)).tolist() == expected


def test_equal_rows_tie_wherever_they_stand() -> None:
    """One million rows of a product are not needed: rounding is put in by hand."""
    rng = np.random.default_rng(3)
    gallery = rng.normal(size=(50, 64)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    gallery[40] = gallery[7]
    query = gallery[7].copy()
    rough = gallery @ query
    rough[40] += np.float32(3e-6)  # as another order of summing would
    score_C = settled(rough, query, gallery, [7])
    assert score_C[40] == score_C[7]
    assert answer_ranks(score_C, [7], places([f"{n:02d}" for n in range(50)])).tolist() == [1]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(7, 8)).astype("f4"), rng.normal(size=(5, 8)).astype("f4")
    answers = [[0]] * 7
    whole = np.stack(list(exact_scores(query, gallery, answers)))
    monkeypatch.setattr("unite.evaluation.ranking.BLOCK", 10)
    assert np.allclose(np.stack(list(exact_scores(query, gallery, answers))), whole, atol=1e-6)
    assert list(exact_scores(query[:0], gallery, [])) == []


def test_dual_softmax_by_hand() -> None:
    # Both queries like candidate 0 best, the first more; a softmax over queries settles it.
    score_QC = np.array([[0.9, 0.5], [0.8, 0.7]], np.float32)
    unit_CC = np.eye(2, dtype=np.float32)  # queries need not be of unit length
    again_QC = np.stack(list(dual_softmax(score_QC, unit_CC, temperature=10.0)))
    share = 1 / (1 + np.exp(10 * (0.8 - 0.9)))
    assert again_QC[0, 0] == pytest.approx(0.9 * share)
    assert again_QC.argmax(axis=1).tolist() == [0, 1]
    assert score_QC.argmax(axis=1).tolist() == [0, 0]


@pytest.mark.parametrize(("queries", "candidates"), [(23, 7), (1, 5), (6, 1), (0, 4), (4, 0)])
def test_dual_softmax_by_blocks_is_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, queries: int, candidates: int
) -> None:
    rng = np.random.default_rng(queries)
    query_QD = rng.normal(size=(queries, 8)).astype(np.float32)
    candidate_CD = rng.normal(size=(candidates, 8)).astype(np.float32)
    score_QC = query_QD.astype(np.float64) @ candidate_CD.T.astype(np.float64)
    weight_QC = np.exp(100 * (score_QC - score_QC.max(axis=0, initial=-1e9)))
    expected_QC = score_QC * weight_QC / weight_QC.sum(axis=0)
    for block in (1, 20, 1 << 20):
        monkeypatch.setattr("unite.evaluation.ranking.BLOCK", block)
        found = list(dual_softmax(query_QD, candidate_CD))
        assert len(found) == queries
        for score_C, expected_C in zip(found, expected_QC, strict=True):
            np.testing.assert_allclose(score_C, expected_C, rtol=1e-9, atol=1e-12)
