"""Muon for the matrices of a network and AdamW for the rest, as one optimiser.

Muon (Jordan et al., 2024) makes every update of a matrix nearly orthogonal. Small models from
scratch learn several times as much from it in the same number of steps; the trainer and its
schedule know one optimiser, so both are joined here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from unite.training.muon import Muon


class MuonAdamW(Optimizer):
    """Steps Muon and AdamW over one shared state, so that it is saved and resumed whole.

    Args:
        network: What is trained. Muon takes the weights of its linear layers; embeddings, norms,
            biases and the patch embedding go to AdamW.
        learning_rate: Of AdamW.
        muon_learning_rate: Of Muon, whose updates do not depend on the gradient's size: about ten
            times AdamW's.
        weight_decay: Decoupled, of all matrices.
        epsilon: Of AdamW.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        learning_rate: float,
        muon_learning_rate: float,
        weight_decay: float = 0.0,
        epsilon: float = 1e-8,
    ) -> None:
        matrices = [
            part.weight
            for part in network.modules()
            if isinstance(part, nn.Linear) and part.weight.requires_grad
        ]
        taken = set(map(id, matrices))
        others = [
            part for part in network.parameters() if part.requires_grad and id(part) not in taken
        ]
        groups: list[dict[str, Any]] = [
            {"params": [part for part in others if part.dim() > 1]},
            {"params": [part for part in others if part.dim() < 2], "weight_decay": 0.0},
        ]
        self._parts: list[Optimizer] = [
            AdamW(groups, lr=learning_rate, weight_decay=weight_decay, eps=epsilon),
            Muon(matrices, lr=muon_learning_rate, weight_decay=weight_decay),
        ]
        super().__init__([group for part in self._parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], Any] | None = None) -> Tensor | None:  # type: ignore[override]
        """Take one step of both."""
        start = 0
        for part in self._parts:
            end = start + len(part.param_groups)
            # Loading a state replaces groups and state: each part works on what is there now.
            part.param_groups, part.state = self.param_groups[start:end], self.state
            part.step()
            start = end
        return None
