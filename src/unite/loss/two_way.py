"""Both directions of the symmetric loss from one matrix of scores.

What a query is to the candidates is a row of the scores, what a candidate is to the queries a
column. A first walk over strips of rows sums up both; the second, which knows the sums of whole
columns, makes the gradients. Scores that fit a budget are kept from the first walk, the others are
computed again: three or four matrix products, where two walks of `unite.loss.strips` take six.

On several processes each holds some rows and all columns; sums of columns are joined between the
walks, so that queries need never be gathered.

Shapes: A anchors, K keys (the first of them are the columns), D width, R anchors, G keys and S
columns of a strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from unite.loss.strips import (
    Excluded,
    Figures,
    Gradients,
    Group,
    ReadyGradients,
    Rivals,
    Strips,
    as_tensor,
    gradients_wanted,
    groups,
    log_share,
    wide,
)

KEPT_BYTES = 128 << 20
"""Memory that scores may take between the walks; what does not fit is computed twice."""


class Join(Protocol):
    """How the columns' figures of several processes become those of all."""

    def total(self, values_K: Tensor) -> Tensor:
        """Sum over the processes."""
        ...

    def largest(self, values_K: Tensor) -> Tensor:
        """Maximum over the processes."""
        ...


class Alone:
    """One process: its figures are those of all."""

    def total(self, values_K: Tensor) -> Tensor:
        """The values themselves."""
        return values_K

    def largest(self, values_K: Tensor) -> Tensor:
        """The values themselves."""
        return values_K


def two_way_losses(
    anchor_AD: Tensor,
    key_KD: Tensor,
    columns: int,
    rivals: Rivals,
    temperature: float | Tensor,
    *,
    join: Join | None = None,
    strip_bytes: int | None = None,
    kept_bytes: int = KEPT_BYTES,
) -> Strips:
    """Contrast anchors with keys, and the keys that are their positives with the anchors.

    A pair that is no rival in one direction is none in the other.

    Args:
        anchor_AD: Queries of this process.
        key_KD: Candidates of all processes, then hard negatives, which are contrasted with nothing.
        columns: How many of the keys are candidates.
        rivals: Who is contrasted with whom.
        temperature: τ; a tensor gets its gradient too.
        join: Joins the processes; None for one.
        strip_bytes: Memory for the scores of a strip; None: a good default.
        kept_bytes: Memory for scores between the walks.

    Returns:
        Mean of both directions over this process's rows; the figures are those of the rows. Its
        gradient holds this process's part of all columns.
    """
    tau = as_tensor(temperature)
    wanted = gradients_wanted(anchor_AD, key_KD, tau)
    options = (rivals, columns, join or Alone(), strip_bytes, kept_bytes, wanted)
    loss, *figures = _TwoWayLoss.apply(anchor_AD, key_KD, tau, *options)  # type: ignore[no-untyped-call]
    return Strips(loss, *figures)


@dataclass(slots=True)
class _Side:
    """The softmax of rows or of columns: score of the positive, shift and Σ exp(score − shift)."""

    own: Tensor
    shift: Tensor
    sum: Tensor

    def add(self, part: Tensor, score_RS: Tensor) -> None:
        """Take in more scores over τ of some columns."""
        own = self.own[part]
        shift = torch.maximum(self.shift[part], score_RS.amax(0) - own)
        more = (score_RS - (own + shift)).exp_().sum(0)
        self.sum[part] = self.sum[part] * (self.shift[part] - shift).exp() + more
        self.shift[part] = shift

    def joined(self, join: Join) -> _Side:
        """Over all processes."""
        shift = join.largest(self.shift.clone())
        return _Side(self.own, shift, join.total(self.sum * (self.shift - shift).exp()))

    def total(self) -> Tensor:
        """1 + Σ exp(score), shifted."""
        return (-self.shift).exp() + self.sum


class _TwoWayLoss(ReadyGradients):
    @staticmethod
    def forward(
        ctx: Any,
        anchor_AD: Tensor,
        key_KD: Tensor,
        tau: Tensor,
        rivals: Rivals,
        columns: int,
        join: Join,
        strip_bytes: int | None,
        kept_bytes: int,
        wanted: bool,
    ) -> tuple[Tensor, ...]:
        kind = wide(anchor_AD)
        anchor, keys = anchor_AD.detach().to(kind), key_KD.detach().to(kind)
        scale = 1 / float(tau)
        figures = Figures.empty(len(anchor), kind, anchor.device)
        own_A = (anchor * keys[rivals.own_A]).sum(1) * scale
        zero_K = torch.zeros(len(keys), dtype=kind, device=keys.device)
        own_K = join.total(zero_K.index_copy(0, rivals.own_A, own_A))
        row = _Side(own_A, torch.zeros_like(own_A), torch.zeros_like(own_A))
        column = _Side(own_K, zero_K.clone(), zero_K.clone())
        walk = _Walk(anchor, keys, rivals, columns, scale, strip_bytes, kept_bytes if wanted else 0)

        for strip in walk.run():
            rows_R, column_S, score_RG = strip.rows_R, strip.column_S, strip.score_RG
            column.add(column_S, score_RG[:, : len(column_S)])
            spent_RG = score_RG.clone() if strip.kept else score_RG
            _, row.shift[rows_R], row.sum[rows_R] = figures.enter(
                rows_R, spent_RG, own_A[rows_R], strip.excluded
            )
        column = column.joined(join)
        back_A = log_share(column.sum, column.shift)[rivals.own_A]
        ctx.ready = walk.gradients(row, column, tau).parts() if wanted else None
        ctx.kinds = (anchor_AD.dtype, key_KD.dtype, tau.dtype)
        ctx.set_materialize_grads(False)
        parts = figures.parts()
        ctx.mark_non_differentiable(*parts)
        return (figures.row_loss_A.mean() + back_A.mean()) / 2, *parts


class _Walk:
    """Goes over the strips, keeping scores as long as the budget lasts."""

    def __init__(
        self,
        anchor_AD: Tensor,
        key_KD: Tensor,
        rivals: Rivals,
        columns: int,
        scale: float,
        strip_bytes: int | None,
        kept_bytes: int,
    ) -> None:
        self.anchor_AD, self.key_KD, self.rivals = anchor_AD, key_KD, rivals
        self.columns, self.scale = columns, scale
        self.strip_bytes, self.budget = strip_bytes, kept_bytes
        self.kept: dict[int, Tensor] = {}

    def run(self) -> Iterator[_Strip]:
        """Each strip with its scores."""
        number = 0
        for group in groups(self.key_KD, self.rivals):
            column_S = group.keys_G[group.keys_G < self.columns]
            for rows_R, place_R, excluded in group.strips(self.rivals, self.strip_bytes):
                score_RG = self._scores(number, rows_R, group.key_GD, excluded)
                kept = number in self.kept
                yield _Strip(group, rows_R, place_R, column_S, score_RG, excluded, kept)
                number += 1

    def _scores(self, number: int, rows_R: Tensor, key_GD: Tensor, excluded: Excluded) -> Tensor:
        if number in self.kept:
            return self.kept.pop(number)
        score_RG = (self.anchor_AD[rows_R] * self.scale) @ key_GD.T
        score_RG[excluded] = -torch.inf
        if score_RG.nbytes <= self.budget:
            self.budget -= score_RG.nbytes
            self.kept[number] = score_RG
        return score_RG

    def gradients(self, row: _Side, column: _Side, tau: Tensor) -> Gradients:
        """Of half the mean over the anchors of both directions."""
        self.budget = 0
        half = 0.5 / len(self.anchor_AD)
        grad = Gradients.zero(self.anchor_AD, self.key_KD, tau)
        row_total, column_total = row.total(), column.total()
        missed_A = row.sum / row_total + (column.sum / column_total)[self.rivals.own_A]
        for strip in self.run():
            rows_R, column_S, score_RG = strip.rows_R, strip.column_S, strip.score_RG
            push_RG = (score_RG - (row.own + row.shift)[rows_R, None]).exp_()
            push_RG /= row_total[rows_R, None]
            back_RS = score_RG[:, : len(column_S)] - (column.own + column.shift)[column_S]
            push_RG[:, : len(column_S)] += back_RS.exp_().div_(column_total[column_S])
            if tau.requires_grad:
                score_RG[strip.excluded] = 0
                moved = (push_RG * score_RG).sum() - missed_A[rows_R] @ row.own[rows_R]
                grad.tau -= moved * half * self.scale
            push_RG *= half * self.scale
            missed_R1 = missed_A[rows_R, None] * half * self.scale
            anchor_RD, key_GD = self.anchor_AD[rows_R], strip.group.key_GD
            pulled_RD = missed_R1 * key_GD[strip.place_R]
            grad.anchor_AD[rows_R] = (push_RG @ key_GD).sub_(pulled_RD)
            grad_GD = grad.of(strip.group)
            grad_GD.addmm_(push_RG.T, anchor_RD)
            grad_GD.index_add_(0, strip.place_R, -missed_R1 * anchor_RD)
        return grad


@dataclass(frozen=True, slots=True)
class _Strip:
    group: Group
    rows_R: Tensor
    place_R: Tensor
    column_S: Tensor
    score_RG: Tensor
    excluded: Excluded
    kept: bool
    """Whether the scores are wanted again in the second walk."""
