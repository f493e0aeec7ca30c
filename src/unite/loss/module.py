"""The loss as sentence-transformers' trainer calls it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unite.loss.gather import distributed_mamcl_loss, world_size
from unite.loss.mamcl import Contrast

QUERY, CANDIDATE, NEGATIVE = 0, 1, 2
LABELS = ("side", "modality", "content_id", "also_id", "instructed")
"""What the loss must know of each row besides its vector."""


class MamclLoss(nn.Module):
    """MAMCL or InfoNCE over the rows of one joint batch.

    The batch comes as one column of features, queries, candidates and hard negatives
    together, so that the model runs once a step: data-parallel training counts on that, and
    short and long rows share their groups. Besides the model's own inputs the features hold,
    a value a row: `side` (0 query, 1 candidate, 2 hard negative), `content_id`, `also_id` (the
    content id again where there is none), `modality` (a candidate's is the pair's target) and
    `instructed` (whether an instruction says what is wanted; a study's objectives look at it).

    Args:
        model: Gives `sentence_embedding` for features.
        temperature: τ, fixed at the paper's 0.03 by default.
        temperature_bounds: With them τ is learned, from `temperature` on and never beyond them.
        symmetric: Also contrast candidates with queries.
        masked: The mask of MAMCL; False gives InfoNCE.
        mask_by_query: In the symmetric form, mask a candidate's rivals by the queries' own
            modality instead of their targets'.
        blend: Share of the unmasked loss mixed into the masked one; 0 leaves MAMCL alone.

    Raises:
        ValueError: The temperature is not within its bounds.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        temperature: float = 0.03,
        temperature_bounds: tuple[float, float] | None = None,
        symmetric: bool = False,
        masked: bool = True,
        mask_by_query: bool = False,
        blend: float = 0.0,
    ) -> None:
        super().__init__()
        if temperature_bounds and not temperature_bounds[0] <= temperature <= temperature_bounds[1]:
            raise ValueError(f"temperature {temperature} is not within {temperature_bounds}")
        self.model = model
        self.temperature = temperature
        self.bounds = temperature_bounds
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(temperature), dtype=torch.float64),
            requires_grad=temperature_bounds is not None,
        )
        self.symmetric = symmetric
        self.masked = masked
        self.mask_by_query = mask_by_query
        self.blend = blend
        self.last: Contrast | None = None
        self.kinds_A: Tensor | None = None

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> Tensor:
        """Return the mean loss; `last` then holds the figures of its rows."""
        (features,) = sentence_features
        return self.contrast(self.model(features)["sentence_embedding"], features)

    def contrast(self, vector_RD: Tensor, features: Mapping[str, Any]) -> Tensor:
        """The loss of vectors that are there already.

        Args:
            vector_RD: A vector a row.
            features: Holds `LABELS`, and whether there are hard negatives (`has_negatives`).

        Returns:
            The mean loss; `last` and `kinds_A` (the query's modality code times 8 plus the
            target's, of each pair) then tell of its rows.
        """
        side_R, modality_R, id_R, also_R = (features[name] for name in LABELS[:4])
        query, candidate, negative = (side_R == side for side in (QUERY, CANDIDATE, NEGATIVE))
        self.kinds_A = modality_R[query] * 8 + modality_R[candidate]
        hard = bool(features["has_negatives"])
        tau = self._temperature()

        def contrast(masked: bool) -> Contrast:
            return distributed_mamcl_loss(
                vector_RD[query],
                vector_RD[candidate],
                modality_R[candidate],
                temperature=tau,
                negative_MD=vector_RD[negative] if hard else None,
                negative_modality_M=modality_R[negative] if hard else None,
                query_ids_A=id_R[query],
                candidate_ids_A=id_R[candidate],
                negative_ids_M=id_R[negative] if hard else None,
                candidate_also_ids_A=also_R[candidate],
                negative_also_ids_M=also_R[negative] if hard else None,
                query_modality_A=modality_R[query] if self.mask_by_query else None,
                symmetric=self.symmetric,
                masked=masked,
            )

        self.last = contrast(self.masked)
        if not self.blend:
            return self.last.loss
        return torch.lerp(self.last.loss, contrast(False).loss, self.blend)

    def _temperature(self) -> float | Tensor:
        if self.bounds is None:
            return self.temperature
        low, high = (math.log(bound) for bound in self.bounds)
        with torch.no_grad():  # where a step left the bounds, the next one starts from them
            self.log_temperature.clamp_(low, high)
        shared: Tensor = _Shared.apply(self.log_temperature)  # type: ignore[no-untyped-call]
        return shared.exp()


class _Shared(torch.autograd.Function):
    """A parameter that data-parallel training does not know of: its gradient is averaged here."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].clone()
        if world_size() > 1:
            dist.all_reduce(grad)
            grad /= world_size()
        return grad
