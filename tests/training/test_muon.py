"""Muon in the weights' own precision: torch's, but for rounding."""

import pytest
import torch
from torch import Tensor, nn

from unite.training.muon import Muon, orthogonal

COEFFICIENTS = (3.4445, -4.775, 2.0315)
SHAPES = [(5, 5), (3, 8), (8, 3), (1, 6)]


def trained(kind: type[torch.optim.Muon], dtype: torch.dtype) -> list[Tensor]:
    """Matrices after a few steps towards fixed goals."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape).to(dtype)) for shape in SHAPES]
    goals = [torch.randn(shape).to(dtype) for shape in SHAPES]
    unused = nn.Parameter(torch.randn(4, 4).to(dtype))
    optimiser = kind([*weights, unused], lr=0.05, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        for weight, goal in zip(weights, goals, strict=True):
            (weight - goal).square().sum().backward()
        optimiser.step()
    return [weight.detach() for weight in (*weights, unused)]


def apart(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def test_it_is_torchs_without_the_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = trained(torch.optim.Muon, torch.float64)
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.clone)
    expected = trained(torch.optim.Muon, torch.float64)
    assert apart(trained(Muon, torch.float64), expected) < 1e-12
    assert apart(rounded, expected) > 1e-4


def test_no_step_is_rounded_to_less_than_the_weights() -> None:
    assert apart(trained(Muon, torch.float32), trained(Muon, torch.float64)) < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_directions_stay_and_sizes_become_about_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    matrix = torch.randn(shape, dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    sizes = left.T @ orthogonal(matrix, COEFFICIENTS, 5) @ right.T
    assert torch.allclose(sizes, torch.diag(sizes.diag()), atol=1e-9)
    assert ((sizes.diag() > 0.3) & (sizes.diag() < 1.3)).all()


def test_a_matrix_of_zeros_moves_nothing() -> None:
    assert not orthogonal(torch.zeros(3, 4), COEFFICIENTS, 5).any()
