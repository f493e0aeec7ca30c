"""Muon (Jordan et al., 2024): steps of matrices made nearly orthogonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """torch's Muon with products in the weights' own precision.

    torch's makes the update orthogonal in bfloat16 whatever the weights are. Processors without
    instructions for it take some ten times as long as in float32, a third of a small model's step
    (LOG.md, 2026-11-27).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Tensor | None:  # type: ignore[override]
        """Take one step; there is no closure."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return None

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer, momentum, rate = state["momentum_buffer"], group["momentum"], group["lr"]
        buffer.lerp_(gradient, 1 - momentum)
        update = orthogonal(
            gradient.lerp(buffer, momentum), group["ns_coefficients"], group["ns_steps"]
        )
        height, width = weight.shape
        weight.mul_(1 - rate * group["weight_decay"])
        weight.add_(update, alpha=-rate * max(1, height / width) ** 0.5)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """U S Vᵀ with singular values S about 1, by the iteration of Newton and Schulz.

    Args:
        matrix: (height, width), with singular vectors U and V.
        coefficients: Of X, (X Xᵀ) X and (X Xᵀ)² X.
        steps: Iterations.
    """
    linear, cubic, quintic = coefficients
    flat = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    flat = flat / flat.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = flat @ flat.T
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        flat = torch.addmm(flat, polynomial, flat, beta=linear)
    return flat.T if matrix.size(0) > matrix.size(1) else flat
