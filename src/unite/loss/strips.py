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

CACHED_BYTES = 8 << 20
ROWS = 512
"""By default the scores of a strip stay in the processor's cache, but a product of fewer rows than
these would wait for the keys."""


Excluded = tuple[Tensor, Tensor]
"""Rows and columns (P,) of a strip's scores that are no rivals."""


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
    strip_bytes: int | None = None,
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
        strip_bytes: Memory for the scores of a strip; None: 8 MB, or what 512 rows take.
    """
    tau = as_tensor(temperature)
    wanted = gradients_wanted(anchor_AD, key_KD, tau)
    loss, *figures = _StripLoss.apply(anchor_AD, key_KD, tau, rivals, strip_bytes, wanted)  # type: ignore[no-untyped-call]
    return Strips(loss, *figures)


class ReadyGradients(Function):
    """A function whose forward pass left `ctx.ready`: gradients of anchors, keys and τ.

    Backward scales them where they lie and hands them over: at 16,384 rows a copy of each would be
    a quarter of all the memory. So it runs once.
    """

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Hand the gradients over, times what the loss is multiplied with."""
        if ctx.ready is None:
            raise RuntimeError("the loss is differentiated once; compute it anew to do so again")
        parts, ctx.ready = ctx.ready, None
        handed = [
            part.mul_(grad).to(kind) if needed else None
            for part, kind, needed in zip(parts, ctx.kinds, ctx.needs_input_grad, strict=False)
        ]
        return (*handed, *[None] * (len(ctx.needs_input_grad) - len(handed)))


class _StripLoss(ReadyGradients):
    @staticmethod
    def forward(
        ctx: Any,
        anchor_AD: Tensor,
        key_KD: Tensor,
        tau: Tensor,
        rivals: Rivals,
        strip_bytes: int | None,
        wanted: bool,
    ) -> tuple[Tensor, ...]:
        kind = wide(anchor_AD)
        count, scale = len(anchor_AD), 1 / float(tau)
        figures = Figures.empty(count, kind, anchor_AD.device)
        anchor_AD_, key_KD_ = anchor_AD.detach(), key_KD.detach().to(kind)
        grad = Gradients.zero(anchor_AD_.to(kind), key_KD_, tau) if wanted else None
        for group in groups(key_KD_, rivals):
            for rows_R, place_R, excluded in group.strips(rivals, strip_bytes):
                anchor_RD = anchor_AD_[rows_R].to(kind)
                own_RD = group.key_GD[place_R]
                score_RG = (anchor_RD * scale) @ group.key_GD.T
                own_R = (anchor_RD * own_RD).sum(1) * scale
                score_RG[excluded] = -torch.inf
                again = grad is not None and tau.requires_grad
                weight_RG, shift_R, sum_R = figures.enter(
                    rows_R, score_RG.clone() if again else score_RG, own_R, excluded
                )
                if grad is None:
                    continue
                part_R1 = (scale / (count * ((-shift_R).exp() + sum_R)))[:, None]
                missed_R1 = part_R1 * sum_R[:, None]
                if tau.requires_grad:
                    score_RG[excluded] = 0
                    moved_R = (weight_RG * score_RG).sum(1) - own_R * sum_R
                    grad.tau -= (moved_R * part_R1[:, 0]).sum()
                grad.anchor_AD[rows_R] = (weight_RG @ group.key_GD) * part_R1 - missed_R1 * own_RD
                grad_GD = grad.of(group)
                grad_GD.addmm_(weight_RG.T, anchor_RD * part_R1)
                grad_GD.index_add_(0, place_R, -missed_R1 * anchor_RD)
        ctx.ready = None if grad is None else grad.parts()
        ctx.kinds = (anchor_AD.dtype, key_KD.dtype, tau.dtype)
        ctx.set_materialize_grads(False)
        parts = figures.parts()
        ctx.mark_non_differentiable(*parts)
        return figures.row_loss_A.mean(), *parts


@dataclass(slots=True)
class Figures:
    """The figures of all rows, filled strip by strip."""

    row_loss_A: Tensor
    best_A: Tensor
    rivals_A: Tensor
    duplicates_A: Tensor

    @classmethod
    def empty(cls, count: int, kind: torch.dtype, device: torch.device) -> Figures:
        """Of rows that meet nobody, until they are entered."""
        zero_A = torch.zeros(count, dtype=kind, device=device)
        none_A = torch.zeros(count, dtype=torch.long, device=device)
        return cls(zero_A, torch.full_like(zero_A, -torch.inf), none_A, none_A.clone())

    def enter(
        self, rows_R: Tensor, score_RG: Tensor, own_R: Tensor, excluded: Excluded
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take in the rows of a strip.

        Args:
            rows_R: Their numbers.
            score_RG: Scores over τ, -inf where excluded; overwritten.
            own_R: Those of the positives.
            excluded: What is no rival; a pair may be named twice.

        Returns:
            exp(score − own − shift) in the scores' place, the shift of each row, and the sum.
        """
        keys = score_RG.shape[1]
        left_out = (excluded[0] * keys + excluded[1]).unique() // keys
        left_out_R = left_out.bincount(minlength=len(rows_R))
        best_R = score_RG.amax(1) - own_R
        shift_R = best_R.clamp_min(0)
        weight_RG = score_RG.sub_((own_R + shift_R)[:, None]).exp_()
        sum_R = weight_RG.sum(1)
        self.row_loss_A[rows_R] = log_share(sum_R, shift_R)
        self.best_A[rows_R] = best_R
        self.rivals_A[rows_R] = keys - left_out_R
        self.duplicates_A[rows_R] = left_out_R - 1
        return weight_RG, shift_R, sum_R

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """In the order of `Strips`."""
        return self.row_loss_A, self.best_A, self.rivals_A, self.duplicates_A


def log_share(sum_R: Tensor, shift_R: Tensor) -> Tensor:
    """log(1 + Σ exp(score)), given Σ exp(score − shift): the loss of each row."""
    total_R = (-shift_R).exp() + sum_R
    return torch.where(shift_R == 0, sum_R.log1p(), shift_R + total_R.log())


def as_tensor(temperature: float | Tensor) -> Tensor:
    """τ as a tensor; one that is a tensor already keeps its gradient."""
    if isinstance(temperature, Tensor):
        return temperature
    return torch.tensor(temperature, dtype=torch.float64)


def gradients_wanted(*parts: Tensor) -> bool:
    """Whether any gradient will be asked for; the forward pass computes them or not."""
    return torch.is_grad_enabled() and any(part.requires_grad for part in parts)


def wide(given: Tensor) -> torch.dtype:
    """What scores are computed in: fp32 for half-precision inputs too."""
    return torch.float64 if given.dtype == torch.float64 else torch.float32


@dataclass(slots=True)
class Group:
    """The anchors and keys of one group.

    Attributes:
        rows: Numbers of the anchors.
        keys_G: Numbers of the keys, ascending.
        key_GD: The keys.
        place_K: Where each key stands in the group.
    """

    rows: Tensor
    keys_G: Tensor
    key_GD: Tensor
    place_K: Tensor

    def strips(
        self, rivals: Rivals, strip_bytes: int | None
    ) -> Iterator[tuple[Tensor, Tensor, Excluded]]:
        """Anchors of each strip, where in the group their positives stand, and what is left out."""
        keys_G = self.keys_G
        sorted_ids = [(ids_A, *ids_K[keys_G].sort()) for ids_A, ids_K in rivals.equal]
        row_bytes = len(keys_G) * self.key_GD.element_size()
        size = max(1, (strip_bytes or CACHED_BYTES) // row_bytes)
        if strip_bytes is None:
            size = max(size, ROWS)
        for rows_R in self.rows.split(size):
            place_R = self.place_K[rivals.own_A[rows_R]]
            own = (torch.arange(len(rows_R), device=rows_R.device), place_R)
            same = [_same(ids_A[rows_R], ids_G, order_G) for ids_A, ids_G, order_G in sorted_ids]
            parts = zip(own, *same, strict=True)
            yield rows_R, place_R, tuple(torch.cat(part) for part in parts)  # type: ignore[misc]


def groups(key_KD: Tensor, rivals: Rivals) -> Iterator[Group]:
    """Each group that has anchors; of a single one the keys are not copied."""
    place_K = torch.empty(len(key_KD), dtype=torch.long, device=key_KD.device)
    for group in rivals.group_A.unique():
        rows = (rivals.group_A == group).nonzero()[:, 0]
        keys_G = (rivals.group_K == group).nonzero()[:, 0]
        place_K[keys_G] = torch.arange(len(keys_G), device=keys_G.device)
        key_GD = key_KD if len(keys_G) == len(key_KD) else key_KD[keys_G]
        yield Group(rows, keys_G, key_GD, place_K)


class Gradients:
    """Gradients while they are summed up; those of a group's keys lie together."""

    def __init__(self, anchor_AD: Tensor, key_KD: Tensor, tau: Tensor) -> None:
        self.anchor_AD, self.key_KD, self.tau = anchor_AD, key_KD, tau
        self._group: tuple[Group, Tensor] | None = None

    @classmethod
    def zero(cls, anchor_AD: Tensor, key_KD: Tensor, tau: Tensor) -> Gradients:
        """Of the shapes of what is differentiated."""
        return cls(*(torch.zeros_like(part) for part in (anchor_AD, key_KD, tau)))

    def of(self, group: Group) -> Tensor:
        """Those of a group's keys (G, D), to be added to; groups come one after another."""
        if self._group is not None and self._group[0] is group:
            return self._group[1]
        self._lay_down()
        whole = len(group.keys_G) == len(self.key_KD)
        grad_GD = self.key_KD if whole else torch.zeros_like(group.key_GD)
        self._group = (group, grad_GD)
        return grad_GD

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of anchors, keys and τ."""
        self._lay_down()
        return self.anchor_AD, self.key_KD, self.tau

    def _lay_down(self) -> None:
        if self._group is not None and self._group[1] is not self.key_KD:
            self.key_KD[self._group[0].keys_G] = self._group[1]
        self._group = None


def _same(ids_R: Tensor, ids_G: Tensor, order_G: Tensor) -> Excluded:
    """All rows and columns of equal id, from the keys' ids in order: a join, not a table."""
    start_R = torch.searchsorted(ids_G, ids_R)
    count_R = torch.searchsorted(ids_G, ids_R, right=True) - start_R
    row_P = torch.arange(len(ids_R), device=ids_R.device).repeat_interleave(count_R)
    first_P = (count_R.cumsum(0) - count_R).repeat_interleave(count_R)
    step_P = torch.arange(len(row_P), device=ids_R.device) - first_P
    return row_P, order_G[start_R.repeat_interleave(count_R) + step_P]
