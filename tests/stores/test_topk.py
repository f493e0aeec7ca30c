from __future__ import annotations

import numpy as np
import pytest

from unite.stores import topk
from unite.stores.topk import top_k

from .conftest import unit


def names(count: int) -> list[str]:
    return [f"n{number:05}" for number in range(count)]


def test_a_hand_worked_case() -> None:
    gallery = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    rows, scores = top_k(np.array([[0, 1]], np.float32), gallery, 3, ["a", "b", "c", "d"])
    assert rows.tolist() == [[1, 2, 0]]
    assert scores[0] == pytest.approx([1.0, 0.8, 0.0])


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_full_sort(seed: int) -> None:
    gallery, queries = unit(300, 24, seed=seed), unit(7, 24, seed=seed + 100)
    rows, scores = top_k(queries, gallery, 10, names(300))
    full = queries.astype(np.float64) @ gallery.astype(np.float64).T
    assert rows.tolist() == np.argsort(-full, axis=1)[:, :10].tolist()
    assert scores == pytest.approx(np.sort(full, axis=1)[:, ::-1][:, :10])


def test_ties_stand_in_the_order_of_ids_wherever_the_rows_are() -> None:
    one, other = unit(2, 37, seed=3)
    gallery = np.stack([one, other, one, one, other, one, one])
    ids = ["g", "b", "c", "a", "e", "f", "d"]
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(7)
        rows, scores = top_k(one[None], gallery[order], 5, [ids[n] for n in order])
        assert [ids[order[row]] for row in rows[0]] == ["a", "c", "d", "f", "g"]
        assert len(set(scores[0].tolist())) == 1


def test_ties_across_the_cut_keep_the_first_ids() -> None:
    gallery = np.repeat(unit(1, 33), 1000, axis=0)
    order = np.random.default_rng(0).permutation(1000)
    ids = [names(1000)[n] for n in order]
    rows, _ = top_k(gallery[:1], gallery, 4, ids)
    assert [ids[row] for row in rows[0]] == names(4)


def test_order_of_rows_and_block_size_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, queries = unit(200, 24, seed=1), unit(30, 24, seed=2)
    gallery[50:100] = gallery[0]
    plain_rows, plain_scores = top_k(queries, gallery, 60, names(200))
    order = np.random.default_rng(5).permutation(200)
    monkeypatch.setattr(topk, "BLOCK", 333)
    ids = [names(200)[n] for n in order]
    rows, scores = top_k(queries, gallery[order], 60, ids)
    assert order[rows].tolist() == plain_rows.tolist()
    assert scores.tolist() == plain_scores.tolist()


@pytest.mark.parametrize(("k", "size", "width"), [(0, 5, 0), (9, 5, 5), (3, 0, 0), (5, 5, 5)])
def test_as_many_as_there_are(k: int, size: int, width: int) -> None:
    rows, scores = top_k(unit(2, 8), unit(size, 8), k, names(size))
    assert rows.shape == scores.shape == (2, width)


def test_no_query_is_no_error() -> None:
    assert top_k(np.empty((0, 8), np.float32), unit(5, 8), 3, names(5))[0].shape == (0, 3)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        top_k(unit(1, 8), unit(5, 9), 3, names(5))
    with pytest.raises(ValueError, match="4 ids for 5 rows"):
        top_k(unit(1, 8), unit(5, 8), 3, names(4))
    with pytest.raises(ValueError, match="k = -1"):
        top_k(unit(1, 8), unit(5, 8), -1, names(5))
