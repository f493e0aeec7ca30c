"""Exact contrastive learning over several processes.

Each process contrasts its own rows with the candidates of all. The gather is differentiable:
its backward pass adds up what every process owes a row (reduce-scatter with SUM), so the
mean that data-parallel training takes over processes is the true gradient of the mean loss.
With one process nothing is gathered.

Shapes: A local rows, N rows of all processes, W processes, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from unite.loss.mamcl import Contrast, Labels, contrast_rows


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among them."""
    return dist.get_rank() if world_size() > 1 else 0


def meeting_device() -> torch.device:
    """Where tensors must be for processes to exchange them."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def gather_rows(local_A: Tensor) -> tuple[Tensor, slice]:
    """Join the rows of all processes, in order of rank.

    Args:
        local_A: Own rows; processes may hold different numbers of them.

    Returns:
        All rows, with gradients for floating point ones, and where the own ones stand.
    """
    if world_size() == 1:
        return local_A, slice(0, len(local_A))
    counts = _counts(local_A)
    start = sum(counts[: rank()])
    place = slice(start, start + len(local_A))
    if not local_A.is_floating_point():
        return _gather(local_A, counts), place
    return _GatherRows.apply(local_A, counts), place  # type: ignore[no-untyped-call]


def distributed_mamcl_loss(
    query_AD: Tensor,
    candidate_AD: Tensor,
    target_modality_A: Tensor,
    *,
    temperature: float | Tensor = 0.03,
    negative_MD: Tensor | None = None,
    negative_modality_M: Tensor | None = None,
    query_ids_A: Tensor,
    candidate_ids_A: Tensor,
    negative_ids_M: Tensor | None = None,
    candidate_also_ids_A: Tensor | None = None,
    negative_also_ids_M: Tensor | None = None,
    query_modality_A: Tensor | None = None,
    symmetric: bool = False,
    masked: bool = True,
) -> Contrast:
    """`mamcl_loss` over the rows of all processes; each gives and gets its own.

    The mean over processes of the returned losses is the loss of the whole batch, and so
    for its gradient, whatever the local numbers of rows.

    Args: as of `unite.loss.mamcl_loss`, local rows only; whether there are hard negatives must
        be the same on every process.
    """
    candidate_ND, rows = gather_rows(candidate_AD)
    other_reading = symmetric and query_modality_A is not None
    query_ND = gather_rows(query_AD)[0] if other_reading else candidate_ND
    if negative_MD is not None and world_size() > 1 and not sum(_counts(negative_MD)):
        negative_MD = negative_modality_M = negative_ids_M = negative_also_ids_M = None
    everyone_MD = None if negative_MD is None else gather_rows(negative_MD)[0]
    local = (
        query_ids_A,
        candidate_ids_A,
        negative_modality_M,
        negative_ids_M,
        candidate_also_ids_A,
        negative_also_ids_M,
        query_modality_A,
    )
    labels = Labels(
        gather_rows(target_modality_A)[0],
        *(None if part is None else gather_rows(part)[0] for part in local),
    )
    contrast = contrast_rows(
        query_AD,
        candidate_AD,
        query_ND,
        candidate_ND,
        everyone_MD,
        labels,
        rows,
        temperature=temperature,
        symmetric=symmetric,
        masked=masked,
        join=None if world_size() == 1 else _Processes(),
    )
    share = len(query_AD) * world_size() / len(candidate_ND)
    return Contrast(
        contrast.loss * share,
        contrast.row_loss_A,
        contrast.correct_A,
        contrast.rivals_A,
        contrast.duplicates_A,
    )


class _Processes:
    """Joins what the processes know of each column: see `unite.loss.two_way.Join`."""

    def total(self, values_K: Tensor) -> Tensor:
        """Sum over the processes."""
        dist.all_reduce(values_K, op=dist.ReduceOp.SUM)
        return values_K

    def largest(self, values_K: Tensor) -> Tensor:
        """Maximum over the processes."""
        dist.all_reduce(values_K, op=dist.ReduceOp.MAX)
        return values_K


class _GatherRows(torch.autograd.Function):
    """All-gather whose backward is a reduce-scatter with SUM."""

    @staticmethod
    def forward(ctx: Any, local_AD: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        return _gather(local_AD, counts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        longest = max(ctx.counts)
        owed_WLD = grads[0].new_zeros(len(ctx.counts), longest, *grads[0].shape[1:])
        for place, part in enumerate(grads[0].split(ctx.counts)):
            owed_WLD[place, : len(part)] = part
        own_LD = torch.empty_like(owed_WLD[0])
        # Renamed in torch 2.13.
        scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        scatter(own_LD, owed_WLD.flatten(0, 1), op=dist.ReduceOp.SUM)
        return own_LD[: ctx.counts[rank()]], None


def _counts(local_A: Tensor) -> list[int]:
    own = torch.tensor([len(local_A)], device=local_A.device)
    everyone = [torch.zeros_like(own) for _ in range(world_size())]
    dist.all_gather(everyone, own)
    return [int(count) for count in everyone]


def _gather(local_A: Tensor, counts: list[int]) -> Tensor:
    """All rows; equal sizes only are gathered, so each process pads to the longest."""
    longest = max(counts)
    padded = local_A.new_zeros(longest, *local_A.shape[1:])
    padded[: len(local_A)] = local_A.detach()
    everyone = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(everyone, padded)
    return torch.cat([rows[:count] for rows, count in zip(everyone, counts, strict=True)])
