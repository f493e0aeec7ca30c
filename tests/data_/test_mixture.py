from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unite.data.mixture import (
    Plan,
    Turns,
    kind_label,
    kind_of,
    parse_kind,
    plan_batches,
    spare_rows,
)
from unite.errors import DataError
from unite.types import Modality

TEXT, IMAGE, VIDEO = Modality.TEXT, Modality.IMAGE, Modality.VIDEO


def plan_rows(
    sizes: dict[str, int], weights: dict[str, float], *, batch_size: int, steps: int, seed: int
) -> Plan:
    """Sources of one kind each."""
    kind_N = np.repeat(np.arange(len(sizes), dtype=np.uint8) % 7 + 9, list(sizes.values()))
    return plan_batches(
        sizes, kind_N, weights=weights, batch_size=batch_size, steps=steps, seed=seed
    )


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

    assert plan.rows.shape == (steps, batch_size)
    assert plan.rows.dtype == np.int64
    ends = np.cumsum([size for size, _ in rows])
    source = np.searchsorted(ends, plan.rows.ravel(), side="right")
    assert np.bincount(source, minlength=len(rows)).tolist() == list(plan.sources.values())
    assert sum(plan.modality_pairs.values()) == plan.rows.size

    # Rounds: no row comes again before all rows of its source have come.
    for step in range(1, steps + 1):
        times = np.bincount(plan.rows[:step].ravel(), minlength=ends[-1])
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
    source = np.searchsorted(ends, plan.rows, side="right")
    share = np.array(list(weights.values())) / sum(weights.values()) * batch_size
    counts = np.zeros(len(rows))
    for step, batch in enumerate(source, 1):
        counts += np.bincount(batch, minlength=len(rows))
        assert np.abs(counts - share * step).max() < 1 + 1e-9


def test_whole_shares_are_met_in_every_batch() -> None:
    plan = plan_rows({"a": 5, "b": 7}, {"a": 3, "b": 1}, batch_size=8, steps=9, seed=4)
    assert plan.sources == {"a": 54, "b": 18}
    assert ((plan.rows < 5).sum(1) == 6).all()


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
    assert rows(0, 12)[:6] == rows(0)


def test_rows_of_one_source_come_in_another_order_in_each_round() -> None:
    rows = plan_rows({"a": 40}, {"a": 1}, batch_size=20, steps=6, seed=0).rows.reshape(3, 2, 20)
    assert (np.sort(rows.reshape(3, 40)) == np.arange(40)).all()
    assert len({tuple(first) for first in rows[:, 0].tolist()}) == 3


def test_a_source_without_weight_may_be_empty() -> None:
    plan = plan_rows({"a": 3, "b": 0}, {"a": 1, "b": 0}, batch_size=4, steps=2, seed=0)
    assert plan.sources == {"a": 8, "b": 0}


def test_an_empty_source_is_named_also_where_its_size_would_be_its_weight() -> None:
    with pytest.raises(DataError, match=r"empty \['b'\]"):
        plan_rows({"a": 3, "b": 0}, None, batch_size=4, steps=2, seed=0)


def test_zeros_alone_leave_sources_out_and_the_others_weigh_by_their_size() -> None:
    sizes = {"a": 30, "b": 0, "c": 90}
    plan = plan_rows(sizes, {"b": 0}, batch_size=8, steps=15, seed=0)
    assert plan.sources == {"a": 30, "b": 0, "c": 90}
    with pytest.raises(DataError, match=r"empty \['b'\]"):
        plan_rows(sizes, {"c": 0}, batch_size=8, steps=15, seed=0)


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


# Shares, whatever they are


@settings(max_examples=150)
@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=8),
    st.lists(st.integers(0, 30), max_size=40),
)
def test_turns_are_never_a_whole_one_off(shares: list[float], counts: list[int]) -> None:
    turns = Turns(shares)
    ideal, given_ = np.array(shares) / sum(shares), np.zeros(len(shares))
    for count in counts:
        taken = turns.take(count)
        assert taken.sum() == count
        assert taken.min() >= 0
        given_ += taken
        assert np.abs(given_ - ideal * given_.sum()).max() < 1 + 1e-6


# Pairs of modalities


def mixed(**options: object) -> tuple[Plan, np.ndarray, np.ndarray]:
    """A plan over three sources of several kinds, with the source and the kind of every row."""
    rng = np.random.default_rng(0)
    sizes = {"a": 300, "b": 200, "c": 40}
    kinds = [kind_of(TEXT, IMAGE), kind_of(TEXT, VIDEO), kind_of(IMAGE, TEXT), kind_of(TEXT, TEXT)]
    shares = {"a": [0.7, 0.3, 0, 0], "b": [0, 0.1, 0.9, 0], "c": [0, 0, 0, 1]}
    kind_N = np.concatenate(
        [rng.choice(kinds, size, p=shares[name]) for name, size in sizes.items()]
    ).astype(np.uint8)
    plan = plan_batches(sizes, kind_N, batch_size=20, steps=50, seed=1, **options)  # type: ignore[arg-type]
    return plan, np.repeat(np.arange(3), list(sizes.values())), kind_N


def test_without_weights_sources_come_by_their_size_and_an_epoch_sees_every_row_once() -> None:
    sizes = {"a": 30, "b": 50}
    kind_N = np.full(80, kind_of(TEXT, TEXT), np.uint8)
    plan = plan_batches(sizes, kind_N, batch_size=8, steps=10, seed=0)
    assert sorted(plan.rows.ravel().tolist()) == list(range(80))
    assert plan.sources == sizes
    assert plan.modality_pairs == {"text→text": 80}


def test_modality_weights_multiply_the_shares_of_their_pairs() -> None:
    plain, _, kind_N = mixed()
    heavy, *_ = mixed(modality_weights={"text->video": 3})
    share = (kind_N == kind_of(TEXT, VIDEO)).mean()
    expected = 3 * share / (1 + 2 * share) * 1000
    assert plain.modality_pairs["text→video"] == pytest.approx(share * 1000, abs=12)
    assert heavy.modality_pairs["text→video"] == pytest.approx(expected, abs=3)
    none, *_ = mixed(modality_weights={"text→video": 0})
    assert "text→video" not in none.modality_pairs


def test_single_modality_batches_hold_one_target_and_all_get_their_share() -> None:
    plan, _, kind_N = mixed(batches="single-modality")
    targets = kind_N[plan.rows] % 8
    assert (targets == targets[:, :1]).all()
    counts = np.bincount(targets[:, 0], minlength=8)
    share = np.bincount(kind_N % 8, minlength=8) / len(kind_N)
    assert np.abs(counts - share * 50).max() < 1


def test_alternating_batches_are_by_turns_of_all_modalities_and_of_one() -> None:
    plan, _, kind_N = mixed(batches="alternating")
    targets = kind_N[plan.rows] % 8
    alike = (targets == targets[:, :1]).all(1)
    assert alike.tolist() == [False, True] * 25
    share = np.bincount(kind_N % 8, minlength=8) / len(kind_N)
    counts = np.bincount(targets[alike][:, 0], minlength=8)
    assert np.abs(counts - share * 25).max() < 1
    counts = np.bincount(targets[~alike].ravel(), minlength=8)
    assert np.abs(counts - share * 500).max() < 1


def test_alternating_batches_repeat_no_row_before_all_like_it_have_come() -> None:
    plan, source_N, kind_N = mixed(batches="alternating")
    times_N = np.bincount(plan.rows.ravel(), minlength=len(kind_N))
    for source, target in np.unique(np.stack([source_N, kind_N % 8], 1), axis=0):
        times = times_N[(source_N == source) & (kind_N % 8 == target)]
        assert times.max() - times.min() <= 1


def test_single_source_batches_hold_one_source() -> None:
    plan, source_N, _ = mixed(batches="single-source", weights={"a": 1, "b": 1, "c": 2})
    sources = source_N[plan.rows]
    assert (sources == sources[:, :1]).all()
    assert np.bincount(sources[:, 0]).tolist() == pytest.approx([12.5, 12.5, 25], abs=1)


@pytest.mark.parametrize("g_min", [2, 4, 9, 20])
def test_a_quota_carries_over_what_is_too_few(g_min: int) -> None:
    plan, _, kind_N = mixed(g_min=g_min)
    targets = kind_N[plan.rows] % 8
    counts = np.array([np.bincount(batch, minlength=8) for batch in targets])
    assert (counts.sum(1) == 20).all()
    assert counts[counts > 0].min() >= g_min
    share = np.bincount(kind_N % 8, minlength=8) / len(kind_N)
    assert np.abs(counts.sum(0) - share * 1000).max() < 20  # within one batch


def test_a_quota_above_the_batch_gives_batches_of_one_modality() -> None:
    plan, _, kind_N = mixed(g_min=30)
    targets = kind_N[plan.rows] % 8
    assert (targets == targets[:, :1]).all()


# Rows in place of bad ones


def test_spares_are_the_plans_next_rows_of_the_same_source_and_kind() -> None:
    plan, source_N, kind_N = mixed(modality_weights={"text→video": 2})
    sizes = {"a": 300, "b": 200, "c": 40}
    for step, row in ((0, plan.rows[0, 0]), (49, plan.rows[49, 3]), (20, plan.rows[20, 19])):
        spares = spare_rows(plan, kind_N, sizes, step, int(row))
        assert len(spares) == len(set(spares.tolist())) > 3
        assert (source_N[spares] == source_N[row]).all()
        assert (kind_N[spares] == kind_N[row]).all()
        assert not np.isin(spares, plan.rows[step]).any()
    later = plan.rows[1:].ravel()
    kind = kind_N[plan.rows[0, 0]]
    now = [int(row) for row in plan.rows[0] if (source_N[row], kind_N[row]) == (0, kind)]
    alike = later[(source_N[later] == 0) & (kind_N[later] == kind)]
    expected = list(dict.fromkeys(int(row) for row in alike if row not in plan.rows[0]))
    first = [int(spare_rows(plan, kind_N, sizes, 0, row)[0]) for row in now]
    assert first == expected[: len(now)]  # each its own


@given(st.integers(1, 7), st.integers(1, 7))
def test_names_of_kinds_are_read_back(query: int, target: int) -> None:
    kind = kind_of(Modality(query), Modality(target))
    assert parse_kind(kind_label(kind)) == kind
    assert parse_kind(kind_label(kind).replace("→", "->")) == kind


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"text→audio": 1}, "audio"),
        ({"image": 1}, "no pair"),
        ({"video→text": 1}, "text→image"),
        ({"text→image": -1}, "modality weights cannot hold"),
    ],
)
def test_modality_weights_that_cannot_hold_are_refused(
    weights: dict[str, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        mixed(modality_weights=weights)
