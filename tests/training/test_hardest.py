import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.training.hardest import cosine, hardest

Floats = npt.NDArray[np.float32]


def unit(*degrees: float) -> Floats:
    turn = np.radians(degrees)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)


QUERY = unit(0)[0]
GALLERY = unit(10, 60, 40, 20, 80)
"""Best first: rows 0, 3, 2, 1, 4."""


def find(limit: float, k: int = 5, skip: int = 0) -> tuple[list[int], int]:
    rows, scores, refused = hardest(
        QUERY, GALLERY @ QUERY, GALLERY, list("abcde"), limit, k=k, skip=skip
    )
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    return rows.tolist(), refused


def test_by_hand() -> None:
    assert find(2.0) == ([0, 3, 2, 1, 4], 0)
    assert find(2.0, k=2) == ([0, 3], 0)
    assert find(0.9) == ([2, 1, 4], 2)  # cos 10° and cos 20° are above
    assert find(0.9, k=1) == ([2], 2)
    assert find(-1.0) == ([], 5)


def test_skipped_ranks_are_passed_over_whatever_they_score() -> None:
    assert find(2.0, skip=1) == ([3, 2, 1, 4], 0)
    assert find(0.9, skip=1) == ([2, 1, 4], 1)
    assert find(0.9, skip=3) == ([1, 4], 0)
    assert find(0.9, skip=5) == find(0.9, skip=9) == ([], 0)


def test_what_is_barred_is_neither_found_nor_skipped_nor_refused() -> None:
    rough = GALLERY @ QUERY
    rough[[0, 2]] = -np.inf
    before = rough.copy()
    rows, _, refused = hardest(QUERY, rough, GALLERY, list("abcde"), 0.9, k=9, skip=0)
    assert (rows.tolist(), refused) == ([1, 4], 1)
    rows, _, refused = hardest(QUERY, rough, GALLERY, list("abcde"), 0.9, k=9, skip=1)
    assert (rows.tolist(), refused) == ([1, 4], 0)
    np.testing.assert_array_equal(rough, before)
    rows, _, refused = hardest(QUERY, np.full(5, -np.inf, np.float32), GALLERY, "abcde", 2.0, k=3)
    assert (rows.tolist(), refused) == ([], 0)


def test_a_copy_of_the_positive_is_within_a_limit_of_its_score() -> None:
    """Also where the float32 product errs to either side."""
    rng = np.random.default_rng(0)
    for width in (7, 128, 1536):
        rows = rng.normal(size=(60, width)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        query, ids = rows[0], [f"{n:02}" for n in range(60)]
        for error in (-9e-6, 9e-6):
            limit = cosine(query, rows[17])
            rough = rows @ query + np.float32(error)
            taken, scores, _ = hardest(query, rough, rows, ids, limit, k=60)
            assert 17 in taken
            assert scores[taken.tolist().index(17)] == limit
            below = float(np.nextafter(limit, -1))
            taken, _, _ = hardest(query, rough, rows, ids, below, k=60)
            assert 17 not in taken


def test_what_is_near_the_limit_does_not_crowd_out_the_rest() -> None:
    """Twenty rows are a hair above the limit, closer than float32 tells: the next two are found."""
    gallery = np.concatenate([unit(*[30.0] * 20), unit(50, 70)])
    limit = cosine(QUERY, gallery[0]) - 1e-9
    ids = [f"{n:02}" for n in range(22)]
    rows, _, refused = hardest(QUERY, gallery @ QUERY, gallery, ids, limit, k=2)
    assert (rows.tolist(), refused) == ([20, 21], 20)


@pytest.mark.parametrize("skip", [0, 2])
def test_equal_scores_stand_in_the_order_of_ids(skip: int) -> None:
    gallery = unit(*[30.0] * 6)
    rows, _, _ = hardest(QUERY, gallery @ QUERY, gallery, list("fbdcae"), 2.0, k=3, skip=skip)
    assert ["fbdcae"[row] for row in rows] == list("abcdef")[skip : skip + 3]


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 40),
    k=st.integers(1, 12),
    skip=st.integers(0, 5),
    limit=st.floats(-1, 1),
)
def test_it_is_what_sorting_all_gives(
    seed: int, size: int, k: int, skip: int, limit: float
) -> None:
    """Against float64 and a whole sort; many scores are equal."""
    rng = np.random.default_rng(seed)
    gallery = unit(*rng.integers(0, 12, size) * 30.0)
    ids = [f"{n:03}" for n in rng.permutation(size)]
    barred = rng.random(size) < 0.2
    query = unit(float(rng.integers(0, 12) * 30))[0]
    rough = gallery @ query + rng.uniform(-5e-6, 5e-6, size).astype(np.float32)
    rough[barred] = -np.inf
    scores = (gallery * query.astype(np.float64)).sum(axis=1)
    order = sorted(np.flatnonzero(~barred), key=lambda row: (-scores[row], ids[row]))[skip:]
    want = [row for row in order if scores[row] <= limit]
    rows, found, refused = hardest(query, rough, gallery, ids, limit, k=k, skip=skip)
    assert rows.tolist() == want[:k]
    assert found.tolist() == [scores[row] for row in want[:k]]
    assert refused == len(order) - len(want)
