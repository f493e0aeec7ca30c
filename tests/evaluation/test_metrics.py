from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.evaluation.metrics import (
    Ranks,
    average_precision,
    first_ranks,
    hit_at,
    mean,
    mean_rank,
    median_rank,
    ndcg_at,
    precision_at,
    reciprocal_rank,
)
from unite.evaluation.ranking import answer_ranks, places

INF = np.inf


def ranked(*rows: list[float]) -> list[Ranks]:
    return [np.array(row, np.float64) for row in rows]


def test_a_hand_worked_case() -> None:
    ranks = ranked([1], [3], [2, 4], [INF])
    assert first_ranks(ranks).tolist() == [1, 3, 2, INF]
    assert hit_at(ranks, 1).tolist() == [1, 0, 0, 0]
    assert hit_at(ranks, 2).tolist() == [1, 0, 1, 0]
    assert mean(hit_at(ranks, 3)) == pytest.approx(3 / 4)
    assert precision_at(ranks, 4).tolist() == [1 / 4, 1 / 4, 2 / 4, 0]
    assert reciprocal_rank(ranks).tolist() == [1, 1 / 3, 1 / 2, 0]
    assert average_precision(ranks).tolist() == [1, 1 / 3, (1 / 2 + 2 / 4) / 2, 0]
    ideal = 1 + 1 / np.log2(3)
    gained = 1 / np.log2(3) + 1 / np.log2(5)
    assert ndcg_at(ranks, 10) == pytest.approx([1, 1 / 2, gained / ideal, 0])
    assert ndcg_at(ranks, 3)[2] == pytest.approx(1 / np.log2(3) / ideal)
    assert median_rank(first_ranks(ranks), last=9) == 2.5
    assert mean_rank(first_ranks(ranks), last=9) == pytest.approx((1 + 3 + 2 + 10) / 4)


def test_what_was_never_found_is_missed_at_every_depth() -> None:
    assert hit_at(ranked([INF]), 10**9).tolist() == [0]
    assert average_precision(ranked([1, INF])).tolist() == [0.5]


def test_no_queries() -> None:
    assert mean(hit_at([], 1)) == 0.0
    assert median_rank(first_ranks([]), 4) == mean_rank(first_ranks([]), 4) == 0.0


def test_a_query_without_answers_gains_nothing() -> None:
    none = ranked([])
    for value_Q in (hit_at(none, 5), ndcg_at(none, 5), average_precision(none)):
        assert value_Q.tolist() == [0.0]


@pytest.mark.filterwarnings("ignore")
@given(st.integers(0, 10_000))
def test_equals_trec_eval(seed: int) -> None:
    """pytrec_eval wraps trec_eval, by which retrieval is scored at TREC."""
    trec = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(seed)
    candidates, queries = 40, 6
    score_QC = rng.normal(size=(queries, candidates))
    answers = [
        sorted(rng.choice(candidates, size=rng.integers(1, 8), replace=False).tolist())
        for _ in range(queries)
    ]
    ids = [f"d{number:02d}" for number in range(candidates)]
    place_C = places(ids)
    ranks = [
        answer_ranks(score_C, answer, place_C)
        for score_C, answer in zip(score_QC, answers, strict=True)
    ]
    judged = {
        f"q{query}": {ids[number]: 1 for number in answer} for query, answer in enumerate(answers)
    }
    run = {
        f"q{query}": dict(zip(ids, score_C.tolist(), strict=True))
        for query, score_C in enumerate(score_QC)
    }
    names = {"success_1,5,10", "P_1,5", "recip_rank", "ndcg_cut_10", "map"}
    found = trec.RelevanceEvaluator(judged, names).evaluate(run)
    ours = {
        "success_1": hit_at(ranks, 1), "success_5": hit_at(ranks, 5), "success_10": hit_at(ranks, 10),
        "P_1": precision_at(ranks, 1), "P_5": precision_at(ranks, 5),
        "recip_rank": reciprocal_rank(ranks), "ndcg_cut_10": ndcg_at(ranks, 10),
        "map": average_precision(ranks),
    }  # fmt: skip
    for name, value_Q in ours.items():
        theirs = [found[f"q{query}"][name] for query in range(queries)]
        assert value_Q == pytest.approx(theirs, abs=1e-9), name
