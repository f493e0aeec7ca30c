"""Rows through a wide layer some at a time, where nothing is kept for gradients.

An MLP is four to six times as wide as what goes in and out. By slices its inner numbers take some
tens of megabytes, whatever the batch; on a CPU that costs no time (benchmarks/embed.md).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ROWS = 1024


def by_rows(layer: Callable[[Tensor], Tensor], hidden_ND: Tensor) -> Tensor:
    """Apply a layer that treats each row by itself and keeps its width.

    Args:
        layer: From (n, D) to (n, D).
        hidden_ND: N rows.
    """
    if torch.is_grad_enabled() or hidden_ND.device.type != "cpu" or len(hidden_ND) <= ROWS:
        return layer(hidden_ND)
    out_ND = torch.empty_like(hidden_ND)
    for part, into in zip(hidden_ND.split(ROWS), out_ND.split(ROWS), strict=True):
        into.copy_(layer(part))
    return out_ND
