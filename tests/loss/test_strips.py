"""Strips: any size gives the same, memory stays bounded, extremes do not overflow."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unite.loss.strips import Rivals, strip_losses

Parts = tuple[Tensor, Tensor, Rivals]


def problem(anchors: int, keys: int, seed: int, width: int = 5) -> Parts:
    """Anchors whose positives are the first keys; groups and ids repeat."""
    generator = torch.Generator().manual_seed(seed)

    def draw(top: int, count: int) -> Tensor:
        return torch.randint(top, (count,), generator=generator)

    group_K = draw(3, keys)
    first, second = draw(4, keys), draw(9, keys)
    anchor_AD = torch.randn(anchors, width, generator=generator, dtype=torch.float64)
    key_KD = torch.randn(keys, width, generator=generator, dtype=torch.float64)
    equal = [(first[:anchors], first), (second[:anchors], draw(9, keys))]
    return anchor_AD, key_KD, Rivals(torch.arange(anchors), group_K[:anchors], group_K, equal)


def by_definition(anchor_AD: Tensor, key_KD: Tensor, rivals: Rivals, tau: Tensor) -> Tensor:
    """A row at a time, by autograd."""
    losses = []
    for row, anchor_D in enumerate(anchor_AD):
        own = int(rivals.own_A[row])
        kept = rivals.group_K == rivals.group_A[row]
        for ids_A, ids_K in rivals.equal:
            kept = kept & (ids_K != ids_A[row])
        kept[own] = True
        scores = key_KD @ anchor_D / tau
        losses.append(torch.logsumexp(scores[kept], 0) - scores[own])
    return torch.stack(losses).mean()


@settings(max_examples=40)
@given(
    anchors=st.integers(1, 9),
    more=st.integers(0, 6),
    seed=st.integers(0, 999),
    tau=st.sampled_from([0.03, 0.5, 2.0]),
    strip_bytes=st.sampled_from([1, 100, 1 << 20]),
)
def test_loss_and_every_gradient_are_the_definitions(
    anchors: int, more: int, seed: int, tau: float, strip_bytes: int
) -> None:
    found, expected = [], []
    for results in (found, expected):
        anchor_AD, key_KD, rivals = problem(anchors, anchors + more, seed)
        leaves = [
            anchor_AD.requires_grad_(),
            key_KD.requires_grad_(),
            torch.tensor(tau, dtype=torch.float64, requires_grad=True),
        ]
        if results is found:
            loss = strip_losses(
                leaves[0], leaves[1], rivals, leaves[2], strip_bytes=strip_bytes
            ).loss
        else:
            loss = by_definition(leaves[0], leaves[1], rivals, leaves[2])
        (3 * loss).backward()
        results += [loss.detach(), *(leaf.grad for leaf in leaves)]
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_figures_count_rivals_and_duplicates() -> None:
    anchor_AD, key_KD = torch.eye(3), torch.eye(3)
    ids = torch.tensor([7, 7, 8])
    rivals = Rivals(torch.arange(3), torch.zeros(3), torch.zeros(3), [(ids, ids)])
    found = strip_losses(anchor_AD, key_KD, rivals, 1.0)
    assert found.rivals_A.tolist() == [1, 1, 2]
    assert found.duplicates_A.tolist() == [1, 1, 0]
    assert found.best_A.tolist() == [-1, -1, -1]
    assert found.row_loss_A.tolist() == pytest.approx(
        [math.log1p(math.exp(-1))] * 2 + [math.log1p(2 * math.exp(-1))]
    )


@pytest.mark.parametrize("tau", [0.005, 0.03, 1.0])
@pytest.mark.parametrize("length", [1.0, 40.0])
def test_no_temperature_or_length_overflows(tau: float, length: float) -> None:
    anchor_AD, key_KD, rivals = problem(8, 12, 3)
    anchor = (length * anchor_AD).float().requires_grad_()
    key = (length * key_KD).float().requires_grad_()
    strip_losses(anchor, key, rivals, tau).loss.backward()
    assert anchor.grad is not None
    assert key.grad is not None
    assert anchor.grad.isfinite().all()
    assert key.grad.isfinite().all()


@pytest.mark.parametrize("hard", [False, True])
def test_fp32_gradients_keep_their_digits(hard: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    key = torch.nn.functional.normalize(
        torch.randn(64, 32, generator=generator, dtype=torch.float64), dim=1
    )
    noise = torch.randn(64, 32, generator=generator, dtype=torch.float64)
    anchor = torch.nn.functional.normalize(key + (1.0 if hard else 0.02) * noise, dim=1)
    group = torch.arange(64) % 4
    rivals = Rivals(torch.arange(64), group, group)
    gradients = []
    for kind in (torch.float64, torch.float32):
        leaf = anchor.to(kind, copy=True).requires_grad_()
        strip_losses(leaf, key.to(kind), rivals, 0.03).loss.backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.double())
    exact, single = gradients
    assert (single - exact).norm() < 1e-5 * exact.norm()


def test_bf16_inputs_are_scored_in_fp32() -> None:
    anchor_AD, key_KD, rivals = problem(8, 12, 3)
    half = [part.to(torch.bfloat16).requires_grad_() for part in (anchor_AD, key_KD)]
    loss = strip_losses(half[0], half[1], rivals, 0.03).loss
    wide = [part.detach().float() for part in half]
    assert loss.dtype == torch.float32
    assert loss.item() == strip_losses(wide[0], wide[1], rivals, 0.03).loss.item()
    loss.backward()
    assert half[0].grad is not None
    assert half[0].grad.dtype == torch.bfloat16


def test_without_gradients_none_are_computed() -> None:
    anchor_AD, key_KD, rivals = problem(4, 6, 0)
    with torch.no_grad():
        found = strip_losses(anchor_AD.requires_grad_(), key_KD, rivals, 0.1)
    assert not found.loss.requires_grad
