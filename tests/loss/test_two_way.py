"""Both directions at once equal each apart, whatever is kept and however rows are cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unite.loss.strips import Rivals, strip_losses
from unite.loss.two_way import two_way_losses


def problem(count: int, negatives: int, seed: int, kind: torch.dtype) -> tuple[Tensor, ...]:
    """Queries, candidates with negatives, groups of the keys, ids of what queries want, of keys."""
    generator = torch.Generator().manual_seed(seed)
    keys = count + negatives
    query = torch.randn(count, 5, generator=generator, dtype=torch.float64).to(kind)
    key = torch.randn(keys, 5, generator=generator, dtype=torch.float64).to(kind)
    group, wanted, held = (torch.randint(top, (keys,), generator=generator) for top in (3, 6, 9))
    return query, key, group, wanted, held


def both(count: int, negatives: int, seed: int, **options: int) -> list[Tensor]:
    query, key, group, wanted, held = problem(count, negatives, seed, torch.float64)
    tau = torch.tensor(0.2, dtype=torch.float64).requires_grad_()
    leaves = [query.requires_grad_(), key.requires_grad_(), tau]
    own = torch.arange(count)
    equal = [(wanted[:count], wanted), (wanted[:count], held)]
    rivals = Rivals(own, group[:count], group, equal)
    if options:
        loss = two_way_losses(query, key, count, rivals, tau, **options).loss
    else:
        asked = [(wanted[:count], wanted[:count]), (held[:count], wanted[:count])]
        back = Rivals(own, group[:count], group[:count], asked)
        forward = strip_losses(query, key, rivals, tau).loss
        loss = (forward + strip_losses(key[:count], query, back, tau).loss) / 2
    (3 * loss).backward()
    return [loss.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@settings(max_examples=40)
@given(
    count=st.integers(1, 12),
    negatives=st.integers(0, 6),
    seed=st.integers(0, 999),
    strip_bytes=st.sampled_from([1, 100, 1 << 20]),
    kept_bytes=st.sampled_from([0, 200, 1 << 20]),
)
def test_equals_two_walks(
    count: int, negatives: int, seed: int, strip_bytes: int, kept_bytes: int
) -> None:
    found = both(count, negatives, seed, strip_bytes=strip_bytes, kept_bytes=kept_bytes)
    expected = both(count, negatives, seed)
    assert len(found) == len(expected) == 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("noise", [0.02, 0.3, 1.0])
def test_fp32_gradients_keep_their_digits(noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    key = torch.randn(64, 32, generator=generator, dtype=torch.float64)
    key = torch.nn.functional.normalize(key, dim=1)
    query = key + noise * torch.randn(64, 32, generator=generator, dtype=torch.float64)
    query = torch.nn.functional.normalize(query, dim=1)
    group = torch.arange(64) % 4
    gradients = []
    for kind in (torch.float64, torch.float32):
        leaf = query.to(kind, copy=True).requires_grad_()
        rivals = Rivals(torch.arange(64), group, group)
        two_way_losses(leaf, key.to(kind), 64, rivals, 0.03).loss.backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.double())
    exact, single = gradients
    assert (single - exact).norm() < 1e-5 * exact.norm()


@pytest.mark.parametrize("tau", [0.005, 1.0])
@pytest.mark.parametrize("length", [1.0, 40.0])
def test_no_temperature_or_length_overflows(tau: float, length: float) -> None:
    query, key, group, *_ = problem(8, 4, 3, torch.float32)
    leaf, other = (length * query).requires_grad_(), (length * key).requires_grad_()
    two_way_losses(leaf, other, 8, Rivals(torch.arange(8), group[:8], group), tau).loss.backward()
    for part in (leaf, other):
        assert part.grad is not None
        assert part.grad.isfinite().all()


def test_a_second_backward_pass_is_refused() -> None:
    query, key, group, *_ = problem(4, 0, 0, torch.float64)
    rivals = Rivals(torch.arange(4), group, group)
    loss = two_way_losses(query.requires_grad_(), key, 4, rivals, 0.1).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute it anew"):
        loss.backward()
