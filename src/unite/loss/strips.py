"""The contrastive loss of many rows in the memory of a few, gradients in the same visit.

The mask of MAMCL is an equivalence relation: keys are taken group by group, and each row meets only
its own group's, so that no mask is ever stored and work falls from N² to the sum of squares of the
groups. Rows go in strips that fit a memory budget. A strip's scores are exponentiated once, serve
the loss and both gradients (three matrix products in all), and are forgotten.

Shapes: A anchors, K keys, D width, R anchors of a strip, G keys of a group, P pairs of
equal meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

STRIP_BYTES = 64 << 20
"""Memory that the scores of a strip may take; their exponentials take as much again."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Who is contrasted with whom.

    Attributes:
        own_A: The place of each anchor's positive among the keys.
        group_A: Group of each anchor; its rivals are the keys of the same group.
        group_K: Group of each key.
        equal: Pairs of ids, of anchors (A,) and of keys (K,): a key whose id equals the anchor's
            in one of them means the same and is no rival.
    """

    own_A: Tensor
    group_A: Tensor
    group_K: Tensor
    equal: Sequence[tuple[Tensor, Tensor]] = ()


@dataclass(frozen=True, slots=True)
class Strips:
    """Mean loss (differentiable) and figures of each row (A,), detached."""

    loss: Tensor
    row_loss_A: Tensor
    best_A: Tensor
    """The best rival's score above the positive's, over τ; -inf without rivals."""
    rivals_A: Tensor
    duplicates_A: Tensor
    """Keys of the group left out for equal meaning, the positive aside."""


def strip_losses(
    anchor_AD: Tensor,
    key_KD: Tensor,
    rivals: Rivals,
    temperature: float | Tensor,
    *,
    strip_bytes: int = STRIP_BYTES,
) -> Strips:
    """Contrast anchors with keys: log(1 + Σ exp((a·r − a·c) / τ)) over the rivals r, its mean.

    Scores are taken in fp32 (float64 for float64 inputs). They are shifted by the positive's where
    no rival scores higher, else by the best rival's: an easy row keeps all its digits (log1p), and
    nothing overflows at any temperature or length of vectors.

    Args:
        anchor_AD: Anchors.
        key_KD: Keys, the positives among them.
        rivals: Who is contrasted with whom.
        temperature: τ; a tensor gets its gradient too.
        strip_bytes: Memory for the scores of a strip.
    """
    tau = (
        temperature
        if isinstance(temperature, Tensor)
        else torch.tensor(temperature, dtype=torch.float64)
    )
    wanted = torch.is_grad_enabled() and any(
        part.requires_grad for part in (anchor_AD, key_KD, tau)
    )
    loss, *figures = _StripLoss.apply(anchor_AD, key_KD, tau, rivals, strip_bytes, wanted)  # type: ignore[no-untyped-call]
    return Strips(loss, *figures)


class _StripLoss(Function):
    """Computes the gradients of the mean on the way forward; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        anchor_AD: Tensor,
        key_KD: Tensor,
        tau: Tensor,
        rivals: Rivals,
        strip_bytes: int,
        wanted: bool,
    ) -> tuple[Tensor, ...]:
        kind = torch.float64 if anchor_AD.dtype == torch.float64 else torch.float32
        count = len(anchor_AD)
        scale = 1 / float(tau)
        row_loss_A = torch.zeros(count, dtype=kind, device=anchor_AD.device)
        best_A = torch.full_like(row_loss_A, -torch.inf)
        rivals_A = torch.zeros(count, dtype=torch.long, device=anchor_AD.device)
        duplicates_A = torch.zeros_like(rivals_A)
        grad_anchor_AD = torch.zeros_like(anchor_AD, dtype=kind) if wanted else None
        grad_key_KD = torch.zeros_like(key_KD, dtype=kind) if wanted else None
        grad_tau = 0.0
        keys_KD = key_KD.detach().to(kind)
        for rows_R, keys_G, key_GD, excluded in _strips(keys_KD, rivals, strip_bytes):
            anchor_RD = anchor_AD.detach()[rows_R].to(kind)
            own_RD = keys_KD[rivals.own_A[rows_R]]
            score_RG = anchor_RD @ key_GD.T
            score_RG -= (anchor_RD * own_RD).sum(1, keepdim=True)
            score_RG *= scale
            score_RG[excluded] = -torch.inf
            left_out_R = score_RG.isneginf().sum(1)
            best_R = score_RG.amax(1)
            shift_R = best_R.clamp_min(0)
            weight_RG = (score_RG - shift_R[:, None]).exp_()
            sum_R = weight_RG.sum(1)
            total_R = (-shift_R).exp() + sum_R
            easy_R = shift_R == 0
            row_loss_A[rows_R] = torch.where(easy_R, sum_R.log1p(), shift_R + total_R.log())
            best_A[rows_R] = best_R
            rivals_A[rows_R] = len(keys_G) - left_out_R
            duplicates_A[rows_R] = left_out_R - 1
            if grad_anchor_AD is None or grad_key_KD is None:
                continue
            part_R1 = (scale / (count * total_R))[:, None]
            missed_R1 = part_R1 * sum_R[:, None]
            grad_anchor_AD[rows_R] = (weight_RG @ key_GD) * part_R1 - missed_R1 * own_RD
            grad_key_KD.index_add_(0, keys_G, weight_RG.T @ (anchor_RD * part_R1))
            grad_key_KD.index_add_(0, rivals.own_A[rows_R], -missed_R1 * anchor_RD)
            if tau.requires_grad:
                score_RG.masked_fill_(score_RG.isneginf(), 0)
                grad_tau -= float(((weight_RG * score_RG).sum(1) * part_R1[:, 0]).sum())
        ctx.save_for_backward(grad_anchor_AD, grad_key_KD)
        ctx.kinds = (anchor_AD.dtype, key_KD.dtype)
        ctx.grad_tau = tau.new_tensor(grad_tau) if tau.requires_grad else None
        ctx.set_materialize_grads(False)
        figures = (row_loss_A, best_A, rivals_A, duplicates_A)
        ctx.mark_non_differentiable(*figures)
        return row_loss_A.mean(), *figures

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        grad_anchor_AD, grad_key_KD = ctx.saved_tensors
        anchor_kind, key_kind = ctx.kinds
        grad_tau = None if ctx.grad_tau is None else ctx.grad_tau * grad
        return (
            (grad_anchor_AD * grad).to(anchor_kind) if ctx.needs_input_grad[0] else None,
            (grad_key_KD * grad).to(key_kind) if ctx.needs_input_grad[1] else None,
            grad_tau,
            None,
            None,
            None,
        )


Excluded = tuple[Tensor, Tensor]
"""Rows and columns (P,) of a strip's scores that are no rivals."""


def _strips(
    key_KD: Tensor, rivals: Rivals, strip_bytes: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Excluded]]:
    """Anchors and keys of each strip, the keys' vectors, and what is left out of their scores."""
    place_K = torch.empty(len(key_KD), dtype=torch.long, device=key_KD.device)
    for group in rivals.group_A.unique():
        rows_all = (rivals.group_A == group).nonzero()[:, 0]
        keys_G = (rivals.group_K == group).nonzero()[:, 0]
        key_GD = key_KD[keys_G]
        place_K[keys_G] = torch.arange(len(keys_G), device=keys_G.device)
        sorted_ids = [(ids_A, *ids_K[keys_G].sort()) for ids_A, ids_K in rivals.equal]
        size = max(1, strip_bytes // (len(keys_G) * key_GD.element_size()))
        for rows_R in rows_all.split(size):
            own = (torch.arange(len(rows_R), device=rows_R.device), place_K[rivals.own_A[rows_R]])
            same = [_same(ids_A[rows_R], ids_G, order_G) for ids_A, ids_G, order_G in sorted_ids]
            parts = zip(own, *same, strict=True)
            yield rows_R, keys_G, key_GD, tuple(torch.cat(part) for part in parts)  # type: ignore[misc]


def _same(ids_R: Tensor, ids_G: Tensor, order_G: Tensor) -> Excluded:
    """All rows and columns of equal id, from the keys' ids in order: a join, not a table."""
    start_R = torch.searchsorted(ids_G, ids_R)
    count_R = torch.searchsorted(ids_G, ids_R, right=True) - start_R
    row_P = torch.arange(len(ids_R), device=ids_R.device).repeat_interleave(count_R)
    first_P = (count_R.cumsum(0) - count_R).repeat_interleave(count_R)
    step_P = torch.arange(len(row_P), device=ids_R.device) - first_P
    return row_P, order_G[start_R.repeat_interleave(count_R) + step_P]
