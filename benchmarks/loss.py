"""The strip loss against the dense form of the released code: seconds and memory of a step.

Each measurement runs in a process of its own, so that its peak memory is its own.

Usage: python benchmarks/loss.py [N ...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor

WIDTH, TAU, MODALITIES = 1536, 0.03, 4


def _batch(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, candidate = (
        torch.nn.functional.normalize(torch.randn(count, WIDTH, generator=generator), dim=1)
        for _ in range(2)
    )
    modality = torch.randint(MODALITIES, (count,), generator=generator)
    return query.requires_grad_(), candidate.requires_grad_(), modality


def _dense(query: Tensor, candidate: Tensor, modality: Tensor, symmetric: bool) -> Tensor:
    """N×N logits, a mask filled with -inf, cross-entropy with autograd; in fp32, not bf16."""
    score = query @ candidate.T / TAU
    if not symmetric:
        score = score.masked_fill(modality[:, None] != modality, float("-inf"))
    target = torch.arange(len(query))
    loss = torch.nn.functional.cross_entropy(score, target)
    if symmetric:
        loss = (loss + torch.nn.functional.cross_entropy(score.T, target)) / 2
    return loss


def _measure(form: str, count: int, symmetric: bool) -> dict[str, float]:
    from unite.loss import mamcl_loss

    query, candidate, modality = _batch(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if form == "dense":
        loss = _dense(query, candidate, modality, symmetric)
    else:
        loss = mamcl_loss(
            query, candidate, modality, temperature=TAU, symmetric=symmetric, masked=not symmetric
        ).loss
    loss.backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": (peak - before) / 1024, "loss": float(loss)}


def main() -> None:
    """Print a row for each size and form."""
    if sys.argv[1:2] == ["one"]:
        form, count, symmetric = sys.argv[2], int(sys.argv[3]), sys.argv[4] == "True"
        print(json.dumps(_measure(form, count, symmetric)))
        return
    print("| N | form | dense s | strips s | faster | dense MB | strips MB | less |")
    print("|---|---|---|---|---|---|---|---|")
    for count in map(int, sys.argv[1:] or ("4096", "16384")):
        for symmetric in (False, True):
            row = {}
            for form in ("dense", "strips"):
                command = [sys.executable, __file__, "one", form, str(count), str(symmetric)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row[form] = json.loads(done.stdout)
            dense, strips = row["dense"], row["strips"]
            assert abs(dense["loss"] - strips["loss"]) < 1e-4 * dense["loss"]
            name = "symmetric InfoNCE" if symmetric else f"MAMCL, {MODALITIES} modalities"
            print(
                f"| {count} | {name} | {dense['seconds']:.1f} | {strips['seconds']:.1f} "
                f"| {dense['seconds'] / strips['seconds']:.1f}× | {dense['megabytes']:.0f} "
                f"| {strips['megabytes']:.0f} "
                f"| {dense['megabytes'] / strips['megabytes']:.1f}× |",
                flush=True,
            )


if __name__ == "__main__":
    main()
