"""The strip loss against two dense forms: seconds and peak memory of forward and backward.

`released` does what the released training code does with its N×N scores, in fp32 where that has
bf16: product, division by τ, a float mask made and multiplied in, -1e9 elsewhere, a target matrix,
log-softmax, product with the targets, sum; symmetric: log-softmax of the transpose as well.
`lean` is the shortest dense form: masked_fill and cross-entropy. Each measurement runs in a process
of its own, so that its peak memory is its own.

Usage: python benchmarks/loss.py [N ...]; sizes above 16,384 run in strips alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional as F

WIDTH, TAU, MODALITIES = 1536, 0.03, 4
LARGEST_DENSE = 16384


def _batch(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, candidate = (
        F.normalize(torch.randn(count, WIDTH, generator=generator), dim=1) for _ in range(2)
    )
    modality = torch.randint(MODALITIES, (count,), generator=generator)
    return query.requires_grad_(), candidate.requires_grad_(), modality


def _released(query: Tensor, candidate: Tensor, modality: Tensor, symmetric: bool) -> Tensor:
    score = torch.matmul(query, candidate.T) / TAU
    if not symmetric:
        mask = (modality[:, None] == modality[None]).float()
        score = score * mask + -1e9 * (1 - mask)
    target = torch.zeros_like(score).fill_diagonal_(1)
    loss = -torch.sum(F.log_softmax(score, dim=1) * target, dim=1).mean()
    if symmetric:
        loss = (loss - torch.sum(F.log_softmax(score.T, dim=1) * target, dim=1).mean()) / 2
    return loss


def _lean(query: Tensor, candidate: Tensor, modality: Tensor, symmetric: bool) -> Tensor:
    score = query @ candidate.T / TAU
    if not symmetric:
        score = score.masked_fill(modality[:, None] != modality, float("-inf"))
    target = torch.arange(len(query))
    loss = F.cross_entropy(score, target)
    if symmetric:
        loss = (loss + F.cross_entropy(score.T, target)) / 2
    return loss


def _strips(query: Tensor, candidate: Tensor, modality: Tensor, symmetric: bool) -> Tensor:
    from unite.loss import mamcl_loss

    return mamcl_loss(
        query, candidate, modality, temperature=TAU, symmetric=symmetric, masked=not symmetric
    ).loss


FORMS = {"released": _released, "lean": _lean, "strips": _strips}


def _measure(form: str, count: int, symmetric: bool) -> dict[str, float]:
    from unite.loss import mamcl_loss  # noqa: F401  (imported before memory is looked at)

    small = _batch(64)
    FORMS[form](*small, symmetric).backward()
    query, candidate, modality = _batch(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    loss = FORMS[form](query, candidate, modality, symmetric)
    loss.backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": (peak - before) / 1024, "loss": float(loss)}


def main() -> None:
    """Print a row for each size, objective and form."""
    if sys.argv[1:2] == ["one"]:
        form, count, symmetric = sys.argv[2], int(sys.argv[3]), sys.argv[4] == "True"
        print(json.dumps(_measure(form, count, symmetric)))
        return
    print("| N | objective | form | seconds | strips are faster | MB | strips need less |")
    print("|---|---|---|---|---|---|---|")
    for count in map(int, sys.argv[1:] or ("4096", "16384", "65536")):
        for symmetric in (False, True):
            row = {}
            for form in reversed(FORMS):
                if count > LARGEST_DENSE and form != "strips":
                    continue
                command = [sys.executable, __file__, "one", form, str(count), str(symmetric)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row[form] = json.loads(done.stdout)
            name = "symmetric InfoNCE" if symmetric else f"MAMCL, {MODALITIES} modalities"
            ours = row["strips"]
            for form, found in row.items():
                assert abs(found["loss"] - ours["loss"]) < 1e-4 * ours["loss"]
                print(
                    f"| {count} | {name} | {form} | {found['seconds']:.2f} "
                    f"| {found['seconds'] / ours['seconds']:.1f}× | {found['megabytes']:.0f} "
                    f"| {found['megabytes'] / ours['megabytes']:.1f}× |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
