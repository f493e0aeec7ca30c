"""Losses that come to no finite number; run as a module, one process of two that meets one."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unite.errors import TrainingError
from unite.loss.gather import rank
from unite.loss.module import MamclLoss
from unite.training.fit import Objective
from unite.training.recipe import Recipe
from unite.training.recipe_files import load_recipe
from unite.training.stages import train


class Spoilt(MamclLoss):
    """MAMCL whose loss or gradient is none in one call of one process."""

    def __init__(self, network: nn.Module, what: str, call: int, process: int) -> None:
        super().__init__(network)
        self.what, self.call, self.process = what, call, process
        self.calls = 0

    def contrast(self, vector_RD: Tensor, features: Mapping[str, Any]) -> Tensor:
        loss = super().contrast(vector_RD, features)
        self.calls += 1
        if (self.calls, rank()) != (self.call, self.process):
            return loss
        if self.what == "loss":
            return loss * math.nan
        return loss + (0 * vector_RD.sum()).sqrt()  # 0, with an infinite slope


def spoilt(what: str, call: int, process: int = 0) -> Objective:
    def objective(network: nn.Module, recipe: Recipe) -> MamclLoss:
        return Spoilt(network, what, call, process)

    return objective


if __name__ == "__main__":
    run, *changes = sys.argv[1:]
    try:
        train(load_recipe("small-stage1", changes), Path(run), objective=spoilt("loss", 1, 1))
    except TrainingError as error:
        sys.exit(str(error))
