"""A step of Muon on a small model's matrices: torch's, in bfloat16, and ours, in float32.

Usage: python benchmarks/muon.py [THREADS]
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch
from torch import nn

import unite
from unite.training.muon import Muon

STEPS = 12


def main(threads: int) -> None:
    """Print a row of the table."""
    torch.set_num_threads(threads)
    network = unite.load("mini")
    matrices = [part.weight for part in network.modules() if isinstance(part, nn.Linear)]
    torch.manual_seed(0)
    for weight in matrices:
        weight.requires_grad_()
        weight.grad = torch.randn_like(weight)
    kinds = {"torch": torch.optim.Muon(matrices), "ours": Muon(matrices)}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(STEPS):  # in turns, so that another load meets both
        for name, optimiser in kinds.items():
            start = time.perf_counter()
            optimiser.step()
            seconds[name].append(time.perf_counter() - start)
    theirs, ours = (1000 * median(seconds[name][1:]) for name in kinds)
    print(f"| {threads} | {len(matrices)} | {theirs:.0f} | {ours:.0f} | {theirs / ours:.1f}× |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
