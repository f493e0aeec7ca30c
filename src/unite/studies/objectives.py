"""Objectives that only studies train with: candidates for one that serves both kinds of gallery.

With s a rival's score above the positive's, E_m the sum of exp(s / τ) over rivals of the wanted
modality and E_x that over rivals of other ones, at τ_x = ratio · τ,

    MAMCL      log(1 + E_m)
    InfoNCE    log(1 + E_m + E_x)
    shaped     log(1 + E_m + w · E_x)              one softmax, other modalities weighing w
    split      log(1 + E_m) + w · log(1 + E_x)     a softmax for each, the second one calibrating

`queue` is the recipe's own loss with recent candidates as rivals without gradient (cross-batch
memory, Wang et al., CVPR 2020), which cost a matrix product and no forward pass. With an `anneal`
weights go linearly from their first value to their last over the run or the first part of it.

What means the same as the positive is nobody's rival, in whatever modality. `as_asked` makes it one
in another modality than an instruction asks for: there it would be a wrong answer.

Shapes: N pairs, M hard negatives, K keys, R rows, D width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from unite.errors import StudyError, did_you_mean
from unite.loss.gather import world_size
from unite.loss.mamcl import Contrast
from unite.loss.module import CANDIDATE, LABELS, NEGATIVE, QUERY, MamclLoss
from unite.loss.strips import wide
from unite.training.fit import Objective
from unite.training.recipe import Recipe


def objective(row: Mapping[str, Any]) -> Objective:
    """What makes the loss that an arm names.

    Args:
        row: `kind`, and that kind's numbers.

    Raises:
        StudyError: There is no such kind.
    """
    kinds: dict[str, type[ShapedLoss | QueueLoss]] = {"shaped": ShapedLoss, "queue": QueueLoss}
    numbers = {key: value for key, value in row.items() if key != "kind"}
    kind = kinds.get(row["kind"])
    if kind is None:
        known = did_you_mean(row["kind"], kinds)
        raise StudyError(f"There is no objective {row['kind']!r}.", known)
    made = kind

    def make(network: nn.Module, recipe: Recipe) -> MamclLoss:
        options = recipe.loss.model_dump(exclude={"hard_negatives"})
        return made(network, **options, **numbers)

    return make


class ShapedLoss(MamclLoss, TrainerCallback):  # type: ignore[misc]
    """Rivals of other modalities weigh less, or have a softmax or a temperature of their own.

    Dense: meant for batches of some thousands in one process.

    Args:
        network: As of `MamclLoss`.
        weight: w, at the beginning.
        anneal: w at the end; None: as at the beginning.
        over: The share of the run that this takes.
        cross_ratio: τ_x over τ.
        split: Two softmaxes instead of one.
        as_asked: Equal meaning excuses an instructed query's key of its own modality only.
        options: As of `MamclLoss`; `masked` and `blend` are not looked at.

    Raises:
        StudyError: There are several processes, or the recipe wants the symmetric form.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        weight: float,
        anneal: float | None = None,
        over: float = 1.0,
        cross_ratio: float = 1.0,
        split: bool = False,
        as_asked: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(network, **options)
        if world_size() > 1 or self.symmetric:
            raise StudyError(
                "The shaped objective knows one process and one direction.",
                "Set run.processes to 1 and loss.symmetric to false.",
            )
        self.weights = (weight, weight if anneal is None else anneal)
        self.over, self.cross_ratio = over, cross_ratio
        self.split, self.as_asked = split, as_asked
        self.done = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Where the run is, for the annealed weight."""
        self.done = min(1.0, state.global_step / max(1, state.max_steps - 1) / self.over)

    @property
    def weight(self) -> float:
        """The weight w at this step."""
        first, last = self.weights
        return first + (last - first) * self.done

    def contrast(self, vector_RD: Tensor, features: Mapping[str, Any]) -> Tensor:
        """The loss of vectors that are there already: see `MamclLoss.contrast`."""
        side_R, modality_R, id_R, also_R, instructed_R = (features[name] for name in LABELS)
        query, candidate, negative = (side_R == side for side in (QUERY, CANDIDATE, NEGATIVE))
        vector_RD = vector_RD.to(wide(vector_RD))
        key_KD = torch.cat((vector_RD[candidate], vector_RD[negative]))
        score_NK = vector_RD[query] @ key_KD.T
        own_N = torch.arange(len(score_NK), device=score_NK.device)
        over_NK = score_NK - score_NK[own_N, own_N][:, None]

        key_ids_K, also_K = (torch.cat((ids[candidate], ids[negative])) for ids in (id_R, also_R))
        query_N, wanted_N = id_R[query], id_R[candidate]
        alike_NN = query_N[:, None] == query_N
        same_NK = torch.zeros_like(score_NK, dtype=torch.bool)
        same_NK[:, : len(own_N)] = alike_NN
        for held_K in (key_ids_K, also_K):  # by the recipe's loss: see `mamcl_loss`
            answers_NK = (wanted_N[:, None] == held_K).float()
            same_NK |= (query_N[:, None] == held_K) | (alike_NN.float() @ answers_NK > 0)
        modality_K = torch.cat((modality_R[candidate], modality_R[negative]))
        near_NK = modality_R[candidate][:, None] == modality_K
        if self.as_asked:
            same_NK &= near_NK | ~instructed_R[query].bool()[:, None]
        self.kinds_A = modality_R[query] * 8 + modality_R[candidate]
        return self._loss(over_NK, near_NK, same_NK, own_N)

    def _loss(self, over_NK: Tensor, near_NK: Tensor, same_NK: Tensor, own_N: Tensor) -> Tensor:
        inside_NK = over_NK.masked_fill(same_NK | ~near_NK, -torch.inf)
        across_NK = over_NK.masked_fill(same_NK | near_NK, -torch.inf)
        tau = self._temperature()
        cross_tau = self.cross_ratio * tau
        zero_N1 = over_NK.new_zeros(len(over_NK), 1)
        masked_N = torch.cat((zero_N1, inside_NK / tau), 1).logsumexp(1)
        if self.split:
            crossed_N = torch.cat((zero_N1, across_NK / cross_tau), 1).logsumexp(1)
            loss_N = masked_N + self.weight * crossed_N
        else:
            lighter_NK = across_NK / cross_tau + torch.tensor(self.weight).log()
            loss_N = torch.cat((zero_N1, inside_NK / tau, lighter_NK), 1).logsumexp(1)
        rivals_NK = ~same_NK & (near_NK | (self.weight > 0))
        own_NK = torch.zeros_like(same_NK)
        own_NK[own_N, own_N] = True
        self.last = Contrast(
            loss=loss_N.mean(),
            row_loss_A=loss_N.detach(),
            correct_A=~((over_NK > 0) & rivals_NK).any(1),
            rivals_A=rivals_NK.sum(1),
            duplicates_A=(same_NK & ~own_NK).sum(1),
        )
        return self.last.loss


class QueueLoss(MamclLoss):
    """The recipe's loss with candidates of the last batches as further rivals, without gradient.

    The queue is not saved: a run that goes on fills it anew within its length.

    Args:
        network: As of `MamclLoss`.
        batches: Length of the queue.
        options: As of `MamclLoss`.
    """

    def __init__(self, network: nn.Module, *, batches: int, **options: Any) -> None:
        super().__init__(network, **options)
        self._queue: deque[dict[str, Tensor]] = deque(maxlen=batches)

    def contrast(self, vector_RD: Tensor, features: Mapping[str, Any]) -> Tensor:
        """The loss of vectors that are there already: see `MamclLoss.contrast`."""
        candidate = features["side"] == CANDIDATE
        kept = {name: features[name][candidate].clone() for name in LABELS}
        kept["side"] = torch.full_like(kept["side"], NEGATIVE)
        joined = {name: [features[name], *(old[name] for old in self._queue)] for name in LABELS}
        vectors = [vector_RD, *(old["vector"] for old in self._queue)]
        rows: dict[str, Any] = {name: torch.cat(parts) for name, parts in joined.items()}
        rows["has_negatives"] = features["has_negatives"] or bool(self._queue)
        loss = super().contrast(torch.cat(vectors), rows)
        self._queue.append({**kept, "vector": vector_RD[candidate].detach().clone()})
        return loss
