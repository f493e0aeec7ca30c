from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unite.data.mixture import plan_rows
from unite.errors import DataError

sources = st.lists(
    st.tuples(st.integers(1, 9), st.one_of(st.integers(0, 5), st.floats(0.01, 10))),
    min_size=1,
    max_size=7,
).filter(lambda rows: any(weight > 0 for _, weight in rows))
runs = st.tuples(st.integers(1, 12), st.integers(0, 20), st.integers(0, 2**31))


@settings(max_examples=150)
@given(sources, runs)
def test_a_plan_keeps_every_promise(
    rows: list[tuple[int, float]], run: tuple[int, int, int]
) -> None:
    sizes = {f"s{n}": size for n, (size, _) in enumerate(rows)}
    weights = {f"s{n}": weight for n, (_, weight) in enumerate(rows)}
    batch_size, steps, seed = run
    plan = plan_rows(sizes, weights, batch_size=batch_size, steps=steps, seed=seed)

    assert plan.rows.shape == (batch_size * steps,)
    assert plan.rows.dtype == np.int64
    ends = np.cumsum([size for size, _ in rows])
    source = np.searchsorted(ends, plan.rows, side="right")
    assert np.bincount(source, minlength=len(rows)).tolist() == list(plan.counts.values())

    # Rounds: no row comes again before all rows of its source have come.
    for step in range(1, steps + 1):
        times = np.bincount(plan.rows[: step * batch_size], minlength=ends[-1])
        for part in np.split(times, ends[:-1]):
            assert part.max() - part.min() <= 1

    again = plan_rows(sizes, weights, batch_size=batch_size, steps=steps, seed=seed)
    assert again.rows.tolist() == plan.rows.tolist()


@settings(max_examples=150)
@given(sources, runs)
@example([(1, 1)] * 4 + [(1, 5.5)] * 2, (1, 11, 0))
def test_counts_are_exact_to_one_example_after_every_batch(
    rows: list[tuple[int, float]], run: tuple[int, int, int]
) -> None:
    """So that no batch is off its share by two."""
    sizes = {f"s{n}": size for n, (size, _) in enumerate(rows)}
    weights = {f"s{n}": weight for n, (_, weight) in enumerate(rows)}
    batch_size, steps, seed = run
    plan = plan_rows(sizes, weights, batch_size=batch_size, steps=steps, seed=seed)
    ends = np.cumsum(list(sizes.values()))
    source = np.searchsorted(ends, plan.rows, side="right").reshape(steps, batch_size)
    share = np.array(list(weights.values())) / sum(weights.values()) * batch_size
    counts = np.zeros(len(rows))
    for step, batch in enumerate(source, 1):
        counts += np.bincount(batch, minlength=len(rows))
        assert np.abs(counts - share * step).max() < 1 + 1e-9


def test_whole_shares_are_met_in_every_batch() -> None:
    plan = plan_rows({"a": 5, "b": 7}, {"a": 3, "b": 1}, batch_size=8, steps=9, seed=4)
    assert plan.counts == {"a": 54, "b": 18}
    assert ((plan.rows < 5).reshape(9, 8).sum(1) == 6).all()


def test_the_unit_of_the_weights_does_not_matter() -> None:
    sizes = {"a": 11, "b": 13, "c": 4}
    plans = [
        plan_rows(sizes, {"a": 1 * u, "b": 2 * u, "c": 4 * u}, batch_size=16, steps=10, seed=1).rows
        for u in (1, 0.125, 64)
    ]
    assert (plans[0] == plans[1]).all()
    assert (plans[0] == plans[2]).all()


def test_seeds_differ_and_a_longer_run_begins_like_a_shorter_one() -> None:
    def rows(seed: int, steps: int = 6) -> list[int]:
        return plan_rows(
            {"a": 50, "b": 50}, {"a": 1, "b": 1}, batch_size=8, steps=steps, seed=seed
        ).rows.tolist()

    assert rows(0) != rows(1)
    assert rows(0, 12)[:48] == rows(0)


def test_rows_of_one_source_come_in_another_order_in_each_round() -> None:
    rows = plan_rows({"a": 40}, {"a": 1}, batch_size=20, steps=6, seed=0).rows.reshape(3, 2, 20)
    assert (np.sort(rows.reshape(3, 40)) == np.arange(40)).all()
    assert len({tuple(first) for first in rows[:, 0].tolist()}) == 3


@given(processes=st.integers(1, 5), seed=st.integers(0, 99))
def test_processes_share_every_batch_and_every_source_alike(processes: int, seed: int) -> None:
    sizes, weights = {"a": 30, "b": 20, "c": 50}, {"a": 1.0, "b": 2.0, "c": 4.0}
    size = 6 * processes
    alone = plan_rows(sizes, weights, batch_size=size, steps=4, seed=seed)
    shared = plan_rows(sizes, weights, batch_size=size, steps=4, seed=seed, processes=processes)
    assert shared.counts == alone.counts
    ends = np.cumsum(list(sizes.values()))
    for one, other in zip(alone.rows.reshape(4, -1), shared.rows.reshape(4, -1), strict=True):
        assert sorted(one) == sorted(other)
        parts = np.searchsorted(ends, other.reshape(processes, -1), side="right")
        counts = np.array([np.bincount(part, minlength=3) for part in parts])
        assert (counts.max(0) - counts.min(0)).max() <= 1


def test_a_source_without_weight_may_be_empty() -> None:
    plan = plan_rows({"a": 3, "b": 0}, {"a": 1, "b": 0}, batch_size=4, steps=2, seed=0)
    assert plan.counts == {"a": 8, "b": 0}


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [
        ({"a": 0, "b": 3}, {"a": 1, "b": 1}),
        ({"a": 3}, {"a": 0}),
        ({"a": 3, "b": 3}, {"a": 2, "b": -1}),
    ],
)
def test_mixtures_that_cannot_be_drawn_are_refused(
    sizes: dict[str, int], weights: dict[str, float]
) -> None:
    with pytest.raises(DataError, match="cannot be mixed"):
        plan_rows(sizes, weights, batch_size=4, steps=1, seed=0)
