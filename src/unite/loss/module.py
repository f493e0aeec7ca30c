"""The loss as sentence-transformers' trainer calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from unite.loss.gather import distributed_mamcl_loss
from unite.loss.mamcl import Contrast

QUERY, CANDIDATE, NEGATIVE = 0, 1, 2


class MamclLoss(nn.Module):
    """MAMCL or InfoNCE over the rows of one joint batch.

    The batch comes as one column of features, queries, candidates and hard negatives
    together, so that the model runs once a step: data-parallel training counts on that, and
    short and long rows share their groups. Besides the model's own inputs the features hold,
    a value a row: `side` (0 query, 1 candidate, 2 hard negative), `content_id`, `also_id` (the
    content id again where there is none) and `modality` (a candidate's is the pair's target).

    Args:
        model: Gives `sentence_embedding` for features.
        temperature: τ, fixed at the paper's 0.03 by default.
        symmetric: Also contrast candidates with queries.
        masked: The mask of MAMCL; False gives InfoNCE.
        blend: Share of the unmasked loss mixed into the masked one; 0 leaves MAMCL alone.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        temperature: float = 0.03,
        symmetric: bool = False,
        masked: bool = True,
        blend: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.symmetric = symmetric
        self.masked = masked
        self.blend = blend
        self.last: Contrast | None = None
        self.target_modality_A: Tensor | None = None

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> Tensor:
        """Return the mean loss; `last` then holds the figures of its rows."""
        (features,) = sentence_features
        side_R, id_R, also_R = (features[name] for name in ("side", "content_id", "also_id"))
        modality_R = features["modality"]
        vector_RD = self.model(features)["sentence_embedding"]
        query, candidate, negative = (side_R == side for side in (QUERY, CANDIDATE, NEGATIVE))
        self.target_modality_A = modality_R[candidate]
        hard = bool(features["has_negatives"])

        def contrast(masked: bool) -> Contrast:
            return distributed_mamcl_loss(
                vector_RD[query],
                vector_RD[candidate],
                modality_R[candidate],
                temperature=self.temperature,
                negative_MD=vector_RD[negative] if hard else None,
                negative_modality_M=modality_R[negative] if hard else None,
                query_ids_A=id_R[query],
                candidate_ids_A=id_R[candidate],
                negative_ids_M=id_R[negative] if hard else None,
                candidate_also_ids_A=also_R[candidate],
                negative_also_ids_M=also_R[negative] if hard else None,
                symmetric=self.symmetric,
                masked=masked,
            )

        self.last = contrast(self.masked)
        if not self.blend:
            return self.last.loss
        return torch.lerp(self.last.loss, contrast(False).loss, self.blend)
