from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unite.loss import mamcl_loss
from unite.loss.dense import dense_loss
from unite.loss.mamcl import Labels, contrast_rows

CODES = (1, 2, 3, 4, 7)


def unit(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(raw, dim=-1).to(dtype)


def batch(
    count: int, negatives: int = 0, *, seed: int = 0, width: int = 6, ids: bool = True
) -> dict[str, Any]:
    """Arguments of the loss; contents and modalities repeat."""
    generator = torch.Generator().manual_seed(seed + 1)

    def draw(top: int, size: int) -> Tensor:
        return torch.randint(top, (size,), generator=generator)

    given: dict[str, Any] = {
        "query_ND": unit(count, width, seed=seed + 2),
        "candidate_ND": unit(count, width, seed=seed + 3),
        "target_modality_N": torch.tensor(CODES)[draw(len(CODES), count)],
    }
    if ids:
        given["query_ids_N"], given["candidate_ids_N"] = draw(count + 2, count), draw(count + 2, count)  # fmt: skip
        given["candidate_also_ids_N"] = draw(count + 2, count)
    if negatives:
        given["negative_MD"] = unit(negatives, width, seed=seed + 4)
        given["negative_modality_M"] = torch.tensor(CODES)[draw(len(CODES), negatives)]
        if ids:
            given["negative_ids_M"] = draw(count + 2, negatives)
            given["negative_also_ids_M"] = draw(count + 2, negatives)
    return given


def dense(given: dict[str, Any], **options: Any) -> float:
    return dense_loss(**{name: value.numpy() for name, value in given.items()}, **options)


def gradients(given: dict[str, Any], **options: Any) -> dict[str, Tensor]:
    """The gradient of the loss with respect to every embedding."""
    leaves = {
        name: value.clone().requires_grad_() if value.is_floating_point() else value
        for name, value in given.items()
    }
    mamcl_loss(**leaves, **options).loss.backward()
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.is_floating_point()}


# The published values


@pytest.fixture(scope="module")
def published(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "loss.json").read_text()))


FORMS = {
    "info_nce_symmetric": {"masked": False, "symmetric": True},
    "info_nce_q2c": {"masked": False},
    "mamcl_q2c": {},
    "info_nce_q2c_hard_negative": {"masked": False},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-5)])
def test_published_losses(
    published: dict[str, Any], form: str, dtype: str, tolerance: float
) -> None:
    tensors = [
        torch.tensor(published[name], dtype=getattr(torch, dtype))
        for name in ("queries", "candidates", "negatives")
    ]
    hard = {"negative_MD": tensors[2]} if form.endswith("hard_negative") else {}
    codes = torch.tensor(published["target_modal_code"])
    loss = mamcl_loss(tensors[0], tensors[1], codes, **hard, **FORMS[form]).loss
    assert loss.dtype == getattr(torch, dtype)
    assert float(loss) == pytest.approx(published["losses"][form][dtype], abs=tolerance)


@pytest.mark.parametrize(
    ("name", "form"), [("mamcl", "mamcl_q2c"), ("symmetric", "info_nce_symmetric")]
)
def test_published_gradients(published: dict[str, Any], name: str, form: str) -> None:
    given = {
        "query_ND": torch.tensor(published["queries"], dtype=torch.float64),
        "candidate_ND": torch.tensor(published["candidates"], dtype=torch.float64),
        "target_modality_N": torch.tensor(published["target_modal_code"]),
    }
    found = gradients(given, **FORMS[form])
    for side, argument in (("queries", "query_ND"), ("candidates", "candidate_ND")):
        expected = torch.tensor(published[f"{name}_grad_{side}"], dtype=torch.float64)
        assert (found[argument] - expected).abs().max() < 1e-9


# Equal to the definition


@settings(max_examples=150)
@given(
    st.integers(1, 9), st.integers(0, 5), st.integers(0, 10**6),
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0.02, 0.03, 0.2, 1.0]),
)  # fmt: skip
def test_equals_the_definition(
    count: int,
    negatives: int,
    seed: int,
    ids: bool,
    masked: bool,
    symmetric: bool,
    temperature: float,
) -> None:
    given = batch(count, negatives, seed=seed, ids=ids)
    options = {"masked": masked, "symmetric": symmetric, "temperature": temperature}
    assert float(mamcl_loss(**given, **options).loss) == pytest.approx(
        dense(given, **options), rel=1e-9, abs=1e-12
    )


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 10**6), st.booleans())
def test_the_other_reading_masks_candidates_by_the_modality_of_queries(
    count: int, negatives: int, seed: int, masked: bool
) -> None:
    given = batch(count, negatives, seed=seed)
    given["query_modality_N"] = batch(count, seed=seed + 50)["target_modality_N"]
    options = {"symmetric": True, "masked": masked, "temperature": 0.1}
    assert float(mamcl_loss(**given, **options).loss) == pytest.approx(
        dense(given, **options), rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("symmetric", [False, True])
def test_gradients_are_those_of_the_definition(symmetric: bool) -> None:
    given = batch(6, 3, seed=5)
    options = {"symmetric": symmetric, "temperature": 0.1}
    for name, found in gradients(given, **options).items():
        for place in [(0, 0), (1, 3), (2, 5)]:
            step = 1e-6
            values = []
            for sign in (1, -1):
                moved = given[name].clone()
                moved[place] += sign * step
                values.append(dense({**given, name: moved}, **options))
            slope = (values[0] - values[1]) / (2 * step)
            assert float(found[place]) == pytest.approx(slope, abs=1e-7)


def test_a_hand_worked_batch() -> None:
    query = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    candidate = torch.tensor([[1.0, 0], [0.6, 0.8]], dtype=torch.float64)
    contrast = mamcl_loss(query, candidate, torch.tensor([2, 2]), temperature=0.5)
    rows = [np.log1p(np.exp((0.6 - 1) / 0.5)), np.log1p(np.exp((0 - 0.8) / 0.5))]
    assert contrast.row_loss_A.tolist() == pytest.approx(rows)
    assert float(contrast.loss) == pytest.approx(np.mean(rows))
    assert contrast.correct_A.tolist() == [True, True]
    assert contrast.rivals_A.tolist() == [1, 1]
    assert contrast.duplicates_A.tolist() == [0, 0]


# Invariants


@settings(max_examples=40)
@given(st.integers(1, 14), st.integers(1, 6), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_the_order_of_the_rows_changes_nothing(
    count: int, negatives: int, seed: int, symmetric: bool, masked: bool
) -> None:
    given = batch(count, negatives, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(count, generator=generator)
    hard = torch.randperm(negatives, generator=generator)
    moved = {
        name: value[hard if name.startswith("negative") else rows] for name, value in given.items()
    }
    options = {"symmetric": symmetric, "masked": masked}
    before, after = (mamcl_loss(**which, **options) for which in (given, moved))
    assert float(after.loss) == pytest.approx(float(before.loss), abs=1e-12)
    assert torch.allclose(after.row_loss_A, before.row_loss_A[rows], atol=1e-12)
    assert after.rivals_A.tolist() == before.rivals_A[rows].tolist()
    assert after.duplicates_A.tolist() == before.duplicates_A[rows].tolist()
    one, other = gradients(given, **options), gradients(moved, **options)
    assert torch.allclose(other["query_ND"], one["query_ND"][rows], atol=1e-12)
    assert torch.allclose(other["negative_MD"], one["negative_MD"][hard], atol=1e-12)


def test_masked_entries_have_exactly_no_gradient() -> None:
    given = batch(8, 4, seed=1)
    labels = Labels(
        given["target_modality_N"],
        given["query_ids_N"],
        given["candidate_ids_N"],
        given["negative_modality_M"],
        given["negative_ids_M"],
        given["candidate_also_ids_N"],
        given["negative_also_ids_M"],
    )
    masked = rivals = 0
    for row in range(8):
        candidate = given["candidate_ND"].clone().requires_grad_()
        negative = given["negative_MD"].clone().requires_grad_()
        place = slice(row, row + 1)
        contrast = contrast_rows(
            given["query_ND"][place], candidate[place], given["query_ND"], candidate, negative,
            labels, place, temperature=0.5, symmetric=False, masked=True,
        )  # fmt: skip
        contrast.loss.backward()
        moved = torch.cat((candidate.grad, negative.grad)).abs().sum(1) > 0
        modality = torch.cat((given["target_modality_N"], given["negative_modality_M"]))
        foreign = modality != given["target_modality_N"][row]
        assert not moved[foreign].any()
        assert int(moved.sum()) == int(contrast.rivals_A) + bool(contrast.rivals_A)
        masked, rivals = masked + int(foreign.sum()), rivals + int(contrast.rivals_A)
    assert masked > 20
    assert rivals > 3


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_alone_in_their_modality_cost_nothing(symmetric: bool, dtype: torch.dtype) -> None:
    given = {
        "query_ND": unit(5, 6, seed=0, dtype=dtype),
        "candidate_ND": unit(5, 6, seed=1, dtype=dtype),
        "target_modality_N": torch.tensor(CODES),
    }
    contrast = mamcl_loss(**given, symmetric=symmetric)
    assert float(contrast.loss) == 0
    assert contrast.correct_A.all()
    assert contrast.rivals_A.tolist() == [0] * 5
    for gradient in gradients(given, symmetric=symmetric).values():
        assert (gradient == 0).all()


def test_a_row_alone_counts_in_the_mean() -> None:
    given = batch(4, seed=2, ids=False)
    given["target_modality_N"] = torch.tensor([1, 1, 1, 2])
    three = {name: value[:3] for name, value in given.items()}
    assert float(mamcl_loss(**given).loss) == pytest.approx(float(mamcl_loss(**three).loss) * 3 / 4)


def test_the_mask_makes_a_mixed_batch_the_sum_of_its_modalities() -> None:
    given = batch(30, seed=7, ids=False)
    parts = 0.0
    for code in CODES:
        rows = given["target_modality_N"] == code
        part = {name: value[rows] for name, value in given.items()}
        parts += float(mamcl_loss(**part, masked=False).row_loss_A.sum())
    assert float(mamcl_loss(**given).row_loss_A.sum()) == pytest.approx(parts)


@pytest.mark.parametrize("temperature", [0.005, 0.01, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_temperature_and_no_length_gives_nan(
    temperature: float, scale: float, dtype: torch.dtype
) -> None:
    given = batch(16, 6, seed=4)
    exact = {
        name: value * scale if value.is_floating_point() else value for name, value in given.items()
    }
    exact = {
        name: value.to(dtype).double() if value.is_floating_point() else value
        for name, value in exact.items()
    }
    low = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in exact.items()
    }
    options = {"temperature": temperature, "symmetric": True}
    loss = mamcl_loss(**low, **options).loss
    assert float(loss) == pytest.approx(dense(exact, **options), rel=1e-4, abs=1e-6)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(low, **options).values())


def test_easy_rows_keep_their_digits_in_single_precision() -> None:
    """A row whose loss is 1e-8 still has a gradient; log_softmax rounds it to nothing."""
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    given = {"query_ND": query, "candidate_ND": query, "target_modality_N": torch.ones(2).long()}
    loss = mamcl_loss(**given, temperature=0.05).loss
    assert float(loss) == pytest.approx(np.log1p(np.exp(-20.0)), rel=1e-5)
    double = {
        name: value.double() if value.is_floating_point() else value
        for name, value in given.items()
    }
    exact = gradients(double, temperature=0.05)["query_ND"]
    found = gradients(given, temperature=0.05)["query_ND"]
    assert float((found - exact).abs().max() / exact.abs().max()) < 1e-5


def test_half_precision_is_widened_before_the_product() -> None:
    given = batch(10, 3, seed=8)
    low = {k: v.bfloat16() if v.is_floating_point() else v for k, v in given.items()}
    wide = {k: v.float() if v.is_floating_point() else v for k, v in low.items()}
    contrast = mamcl_loss(**low)
    assert contrast.loss.dtype == contrast.row_loss_A.dtype == torch.float32
    assert torch.equal(contrast.row_loss_A, mamcl_loss(**wide).row_loss_A)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_learnable_temperature_gets_its_gradient(symmetric: bool) -> None:
    given = batch(8, 3, seed=9)
    temperature = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    mamcl_loss(**given, temperature=temperature, symmetric=symmetric).loss.backward()
    high, low = (dense(given, temperature=0.2 + h, symmetric=symmetric) for h in (1e-6, -1e-6))
    assert float(temperature.grad) == pytest.approx((high - low) / 2e-6, rel=1e-5)  # type: ignore[arg-type]


# Equal meanings


def test_a_repeated_candidate_is_no_rival() -> None:
    given = batch(4, seed=1, ids=False)
    given["target_modality_N"] = torch.full((4,), 2)
    given["candidate_ND"][2] = given["candidate_ND"][0]
    contrast = mamcl_loss(**given, candidate_ids_N=torch.tensor([5, 6, 5, 7]))
    assert contrast.rivals_A.tolist() == [2, 3, 2, 3]
    assert contrast.duplicates_A.tolist() == [1, 0, 1, 0]
    for row, others in ((0, [1, 3]), (2, [1, 3]), (1, [0, 2, 3]), (3, [0, 1, 2])):
        rows = [row, *others]
        alone = mamcl_loss(*(given[name][rows] for name in given)).row_loss_A[0]
        assert float(contrast.row_loss_A[row]) == pytest.approx(float(alone))


def test_repeated_queries_are_not_each_others_rivals() -> None:
    given = batch(3, seed=1, ids=False)
    given["target_modality_N"] = torch.full((3,), 2)
    contrast = mamcl_loss(**given, query_ids_N=torch.tensor([8, 8, 9]))
    assert contrast.rivals_A.tolist() == [1, 1, 2]
    alone = mamcl_loss(*(value[[0, 2]] for value in given.values())).row_loss_A[0]
    assert float(contrast.row_loss_A[0]) == pytest.approx(float(alone))


def test_a_hard_negative_that_is_the_answer_is_no_rival() -> None:
    given = batch(2, 2, seed=1, ids=False)
    given |= {
        "target_modality_N": torch.tensor([2, 2]),
        "negative_modality_M": torch.tensor([2, 2]),
        "candidate_ids_N": torch.tensor([1, 2]),
        "negative_ids_M": torch.tensor([1, 3]),
    }
    contrast = mamcl_loss(**given)
    assert contrast.rivals_A.tolist() == [2, 3]
    assert contrast.duplicates_A.tolist() == [1, 0]


def test_hard_negatives_of_an_unwanted_modality_change_nothing() -> None:
    given = batch(6, 3, seed=4)
    given["negative_modality_M"] = torch.full((3,), 6)
    plain = {name: value for name, value in given.items() if not name.startswith("negative")}
    assert float(mamcl_loss(**given).loss) == float(mamcl_loss(**plain).loss)
    assert (gradients(given)["negative_MD"] == 0).all()


def test_a_tie_is_not_correct() -> None:
    same = torch.ones(3, 4) / 2
    assert not mamcl_loss(same, same, torch.ones(3).long()).correct_A.any()


# Refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidate_ND": torch.ones(3, 6)}, "queries .4, 6. and candidates .3, 6. differ"),
        ({"candidate_ND": torch.ones(4, 5)}, "queries .4, 6. and candidates .4, 5. differ"),
        ({"negative_MD": torch.ones(2, 6)}, "need negative_modality_M"),
        ({"target_modality_N": torch.ones(1).long()}, None),
        ({"target_modality_N": torch.ones(3).long()}, None),
        ({"query_ids_N": torch.ones(1).long()}, None),
        ({"candidate_ids_N": torch.ones(5).long()}, None),
        ({"negative_MD": torch.ones(2, 6), "negative_modality_M": torch.ones(1).long()}, None),
        ({"negative_MD": torch.ones(2, 5), "negative_modality_M": torch.ones(2).long()}, None),
    ],
)
def test_shapes_that_do_not_agree_are_refused(
    changes: dict[str, Tensor], message: str | None
) -> None:
    given = batch(4, seed=0, ids=False)
    with pytest.raises(ValueError, match=message):
        mamcl_loss(**{**given, **changes})


def test_a_candidate_with_the_wanted_meaning_besides_its_own_is_no_rival() -> None:
    """A coarse query (row 0) does not push away a fine candidate (row 1); the fine one does."""
    given = batch(3, 1, ids=False)
    given["target_modality_N"] = torch.tensor([2, 2, 2])
    given["negative_modality_M"] = torch.tensor([2])
    plain = mamcl_loss(**given, candidate_ids_N=torch.tensor([10, 20, 30]))
    assert plain.rivals_A.tolist() == [3, 3, 3]
    also = mamcl_loss(
        **given,
        candidate_ids_N=torch.tensor([10, 20, 30]),
        candidate_also_ids_N=torch.tensor([10, 10, 30]),
        negative_ids_M=torch.tensor([40]),
        negative_also_ids_M=torch.tensor([30]),
    )
    assert also.rivals_A.tolist() == [2, 3, 2]


def pairs_of(*rows: tuple[int, int], negatives: tuple[int, ...] = ()) -> dict[str, Any]:
    """A batch of one modality: rows of query and candidate ids, and ids of hard negatives."""
    given = {
        "query_ND": unit(len(rows), 6, seed=1),
        "candidate_ND": unit(len(rows), 6, seed=2),
        "target_modality_N": torch.ones(len(rows), dtype=torch.long),
        "query_ids_N": torch.tensor([query for query, _ in rows]),
        "candidate_ids_N": torch.tensor([candidate for _, candidate in rows]),
    }
    if negatives:
        given["negative_MD"] = unit(len(negatives), 6, seed=3)
        given["negative_modality_M"] = torch.ones(len(negatives), dtype=torch.long)
        given["negative_ids_M"] = torch.tensor(negatives)
    return given


def test_what_answers_a_query_elsewhere_in_the_batch_is_no_rival_to_it() -> None:
    # 1 is answered by 11 and by 12; 2 by 21, with 12 as a hard negative that only it may have.
    found = mamcl_loss(**pairs_of((1, 11), (1, 12), (2, 21), negatives=(12,)))
    assert found.rivals_A.tolist() == [1, 1, 3]
    # The other answer as another query's candidate: 3 is answered by 12 as well.
    assert mamcl_loss(**pairs_of((1, 11), (1, 12), (3, 12))).rivals_A.tolist() == [0, 0, 1]


def test_no_query_meets_its_own_content_as_a_rival() -> None:
    found = mamcl_loss(**pairs_of((1, 2), (2, 1), (5, 6)), symmetric=True)
    assert found.rivals_A.tolist() == [1, 1, 2]
    assert mamcl_loss(**pairs_of((1, 2), (5, 6), negatives=(1,))).rivals_A.tolist() == [1, 2]


@pytest.mark.parametrize("reading", [False, True])
def test_many_answers_of_many_queries_agree_with_the_definition(reading: bool) -> None:
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(1, 7, (10, 2), generator=generator)
        ids[:, 1] += 4  # some contents are queries and candidates
        given = pairs_of(*((int(q), int(c)) for q, c in ids), negatives=(5, 6, 7, 11))
        if reading:
            given["query_modality_N"] = torch.ones(10, dtype=torch.long)
        for symmetric in (False, True):
            loss = mamcl_loss(**given, symmetric=symmetric).loss
            assert float(loss) == pytest.approx(dense(given, symmetric=symmetric), abs=1e-9)
