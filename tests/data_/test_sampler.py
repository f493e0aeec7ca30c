from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unite.data.sampler import chunk, share_out

costs = st.lists(st.integers(1, 5000), min_size=8, max_size=60)


@settings(max_examples=100)
@given(costs, st.integers(1, 8))
def test_every_pair_goes_to_one_process(cost: list[int], processes: int) -> None:
    shares = share_out(np.array(cost), processes)
    assert len(shares) == processes
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(cost)))
    assert all(len(share) for share in shares)
    assert all((np.diff(share) > 0).all() for share in shares)


@settings(max_examples=100)
@given(costs, st.integers(1, 8))
def test_no_process_has_much_more_to_do(cost: list[int], processes: int) -> None:
    """Graham's bound: dearest first is within 4/3 of the best, which no mean or single pair beats."""
    loads = [np.array(cost)[share].sum() for share in share_out(np.array(cost), processes)]
    rest = sorted(cost, reverse=True)
    doubled = rest[processes - 1] + rest[processes] if len(rest) > processes else 0
    best = max(sum(cost) / processes, rest[0], doubled)
    assert max(loads) <= 4 / 3 * best + 1


def test_a_heavy_tail_leaves_no_straggler() -> None:
    rng = np.random.default_rng(0)
    cost = np.where(rng.random(512) < 0.4, 1600, rng.integers(30, 400, 512))
    loads = [cost[share].sum() for share in share_out(cost, 8)]
    assert max(loads) / np.mean(loads) < 1.01
    dealt = [cost[rank::8].sum() for rank in range(8)]
    assert max(dealt) / np.mean(dealt) > 1.05


@settings(max_examples=100)
@given(costs, st.integers(1, 9000))
def test_chunks_hold_every_pair_once_within_the_budget(cost: list[int], budget: int) -> None:
    chunks = chunk(np.array(cost), budget)
    assert sorted(np.concatenate(chunks).tolist()) == list(range(len(cost)))
    for part in chunks:
        assert np.array(cost)[part].sum() <= budget or len(part) == 1
    longest = [np.array(cost)[part].max() for part in chunks]
    assert longest == sorted(longest, reverse=True)


def test_without_a_budget_there_is_one_chunk_in_order() -> None:
    (only,) = chunk(np.array([3, 9, 1]), None)
    assert only.tolist() == [0, 1, 2]
