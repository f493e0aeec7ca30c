from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unite.loss import MamclLoss, mamcl_loss

QUERY, CANDIDATE, NEGATIVE = 0, 1, 2


class Table(nn.Module):
    """A model of one parameter: a vector for each row of the batch."""

    def __init__(self, vector_RD: Tensor) -> None:
        super().__init__()
        self.vector_RD = nn.Parameter(vector_RD)
        self.calls = 0

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        return {**features, "sentence_embedding": self.vector_RD[features["row"]]}


def features(count: int = 6, negatives: int = 4) -> tuple[Table, dict[str, Any], dict[str, Any]]:
    """A model and a shuffled joint batch, and the loss's own arguments for it."""
    generator = torch.Generator().manual_seed(3)
    rows = 2 * count + negatives
    vector_RD = torch.randn(rows, 8, generator=generator, dtype=torch.float64)
    vector_RD = nn.functional.normalize(vector_RD, dim=-1)
    modality = torch.tensor([1, 2, 4])[torch.randint(3, (rows,), generator=generator)]
    content = torch.randint(rows // 2, (rows,), generator=generator)
    also = torch.randint(rows // 2, (rows,), generator=generator)
    side = torch.tensor([QUERY] * count + [CANDIDATE] * count + [NEGATIVE] * negatives)
    # Sides in any order; pairs of a batch stand in order within their sides.
    place = torch.randperm(rows, generator=generator)
    place = torch.cat([torch.sort(place[side == kind]).values for kind in range(3)])
    order = torch.argsort(place)
    joint = {
        "row": order,
        "side": side[order],
        "content_id": content[order],
        "also_id": also[order],
        "modality": modality[order],
        "instructed": (side[order] == QUERY) & (order % 2 == 0),
        "has_negatives": negatives > 0,
    }
    q, c, n = slice(0, count), slice(count, 2 * count), slice(2 * count, rows)
    plain = {
        "query_ND": vector_RD[q], "candidate_ND": vector_RD[c], "target_modality_N": modality[c],
        "query_ids_N": content[q], "candidate_ids_N": content[c], "candidate_also_ids_N": also[c],
    }  # fmt: skip
    if negatives:
        plain |= {"negative_MD": vector_RD[n], "negative_modality_M": modality[n]}
        plain |= {"negative_ids_M": content[n], "negative_also_ids_M": also[n]}
    return Table(vector_RD.clone()), joint, plain


@pytest.mark.parametrize("negatives", [0, 4])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_is_the_loss_of_its_rows(negatives: int, symmetric: bool, masked: bool) -> None:
    model, joint, plain = features(negatives=negatives)
    loss = MamclLoss(model, temperature=0.1, symmetric=symmetric, masked=masked)
    expected = mamcl_loss(**plain, temperature=0.1, symmetric=symmetric, masked=masked)
    found = loss([joint]).detach()
    assert float(found) == pytest.approx(float(expected.loss), abs=1e-12)
    assert loss.last is not None
    assert torch.allclose(loss.last.row_loss_A, expected.row_loss_A)
    assert loss.last.rivals_A.tolist() == expected.rivals_A.tolist()
    assert loss.kinds_A is not None
    asked = joint["modality"][joint["side"] == QUERY]
    assert loss.kinds_A.tolist() == (8 * asked + plain["target_modality_N"]).tolist()
    assert model.calls == 1


def test_the_model_learns_from_every_side() -> None:
    model, joint, plain = features()
    loss = MamclLoss(model, temperature=0.1, masked=False)
    loss([joint]).backward()
    leaves = {k: v.clone().requires_grad_() for k, v in plain.items() if v.is_floating_point()}
    mamcl_loss(**{**plain, **leaves}, temperature=0.1, masked=False).loss.backward()
    expected = torch.cat([leaf.grad for leaf in leaves.values()])  # type: ignore[misc]
    assert model.vector_RD.grad is not None
    assert torch.allclose(model.vector_RD.grad, expected, atol=1e-12)
    assert (expected.abs().sum(1) > 0).all()


@pytest.mark.parametrize("blend", [0.0, 0.25, 1.0])
def test_a_blend_lies_between_the_masked_and_the_plain_loss(blend: float) -> None:
    model, joint, plain = features()
    found = float(MamclLoss(model, blend=blend)([joint]).detach())
    masked, free = (float(mamcl_loss(**plain, masked=masked).loss) for masked in (True, False))
    assert found == pytest.approx((1 - blend) * masked + blend * free)


def test_a_learned_temperature_stays_within_its_bounds() -> None:
    model, joint, plain = features()
    loss = MamclLoss(model, temperature=0.1, temperature_bounds=(0.05, 0.2))
    found = loss([joint])
    assert float(found.detach()) == pytest.approx(
        float(mamcl_loss(**plain, temperature=0.1).loss), abs=1e-12
    )
    found.backward()
    slope = loss.log_temperature.grad
    assert slope is not None
    step = 1e-6
    high, low = (
        float(mamcl_loss(**plain, temperature=0.1 * math.exp(sign * step)).loss) for sign in (1, -1)
    )
    assert float(slope) == pytest.approx((high - low) / (2 * step), rel=1e-5)
    with torch.no_grad():
        loss.log_temperature.fill_(3.0)
    beyond = float(loss([joint]).detach())
    assert beyond == pytest.approx(float(mamcl_loss(**plain, temperature=0.2).loss), abs=1e-9)
    assert math.exp(float(loss.log_temperature.detach())) == pytest.approx(0.2)


def test_a_fixed_temperature_is_not_learned() -> None:
    model, joint, _ = features()
    loss = MamclLoss(model)
    loss([joint]).backward()
    assert loss.log_temperature.grad is None
    with pytest.raises(ValueError, match="not within"):
        MamclLoss(model, temperature=0.03, temperature_bounds=(0.05, 0.2))


def test_the_other_reading_of_the_symmetric_mask() -> None:
    model, joint, plain = features()
    loss = MamclLoss(model, temperature=0.1, symmetric=True, mask_by_query=True)
    asked = joint["modality"][joint["side"] == QUERY]
    expected = mamcl_loss(**plain, temperature=0.1, symmetric=True, query_modality_N=asked)
    assert float(loss([joint]).detach()) == pytest.approx(float(expected.loss), abs=1e-12)


def test_the_paper_s_temperature_is_the_default() -> None:
    model, joint, plain = features()
    assert float(MamclLoss(model)([joint]).detach()) == pytest.approx(
        float(mamcl_loss(**plain, temperature=0.03).loss)
    )


def test_one_column_only() -> None:
    model, joint, _ = features()
    with pytest.raises(ValueError, match="unpack"):
        MamclLoss(model)([joint, joint])
