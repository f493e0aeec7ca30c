"""Modal-aware masked contrastive learning (MAMCL, paper section 3.3) and plain InfoNCE.

A query is contrasted only with candidates of its positive's modality. Two forms of one
formula: with q the anchor, c its positive and R its rivals,

    loss = log(1 + Σ_{r∈R} exp((q·r − q·c) / τ))

which is softmax cross-entropy shifted by the positive. The shift keeps easy rows exact in
fp32, where log_softmax loses three digits, and a row without rivals has loss 0 and no
gradient.

Shapes: N pairs, M hard negatives, D width, A anchors (the local ones of the N), K keys.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Contrast:
    """The loss of a batch and, a value a row, what led to it.

    Attributes:
        loss: Mean over the rows; in the symmetric form, mean of both directions.
        row_loss_A: Query→candidate loss of each row, detached.
        correct_A: Whether the positive scored above every rival.
        rivals_A: Rivals that the row was contrasted with.
        duplicates_A: Keys of the right modality left out because they mean the same.
    """

    loss: Tensor
    row_loss_A: Tensor
    correct_A: Tensor
    rivals_A: Tensor
    duplicates_A: Tensor


@dataclass(frozen=True, slots=True)
class Labels:
    """What the mask is made of, for all pairs of the batch.

    Attributes:
        target_modality_N: Modality code of each wanted candidate.
        query_ids_N: Content ids of the queries; None if none repeat.
        candidate_ids_N: Content ids of the candidates; None if none repeat.
        negative_modality_M: Modality codes of the hard negatives.
        negative_ids_M: Their content ids.
        candidate_also_ids_N: Another meaning that each candidate has as well.
        negative_also_ids_M: The same of the hard negatives.
    """

    target_modality_N: Tensor
    query_ids_N: Tensor | None = None
    candidate_ids_N: Tensor | None = None
    negative_modality_M: Tensor | None = None
    negative_ids_M: Tensor | None = None
    candidate_also_ids_N: Tensor | None = None
    negative_also_ids_M: Tensor | None = None


def mamcl_loss(
    query_ND: Tensor,
    candidate_ND: Tensor,
    target_modality_N: Tensor,
    *,
    temperature: float | Tensor = 0.03,
    negative_MD: Tensor | None = None,
    negative_modality_M: Tensor | None = None,
    query_ids_N: Tensor | None = None,
    candidate_ids_N: Tensor | None = None,
    negative_ids_M: Tensor | None = None,
    candidate_also_ids_N: Tensor | None = None,
    negative_also_ids_M: Tensor | None = None,
    symmetric: bool = False,
    masked: bool = True,
) -> Contrast:
    """Contrast each query with its own candidate against the others.

    Args:
        query_ND: Query embeddings, unit length.
        candidate_ND: Row i holds the positive of query i.
        target_modality_N: Modality code of each wanted candidate (text 1, image 2, video 4).
        temperature: τ; a tensor may be learnable.
        negative_MD: Hard negatives; every one serves every row.
        negative_modality_M: Their modality codes; needed when masked.
        query_ids_N: Content ids: rows of equal query id are not each other's rivals.
        candidate_ids_N: Content ids: neither are rows of equal candidate id.
        negative_ids_M: Content ids of the negatives, in the candidates' name space.
        candidate_also_ids_N: Another meaning that each candidate has as well: a picture of a
            small red star on the left also answers "a red star". It is no rival to a query
            that wants that meaning.
        negative_also_ids_M: The same of the negatives.
        symmetric: Also contrast candidates with queries. The mask then holds there as well:
            a candidate's rivals are the queries whose target modality is its own, which is
            our reading; the paper defines one direction.
        masked: False gives InfoNCE.

    Returns:
        The mean loss, fp32 (float64 for float64 inputs), and figures of each row.

    Raises:
        ValueError: Shapes do not agree, or masked hard negatives have no modality.
    """
    if query_ND.shape != candidate_ND.shape:
        raise ValueError(
            f"queries {tuple(query_ND.shape)} and candidates {tuple(candidate_ND.shape)} differ"
        )
    if negative_MD is not None and negative_MD.shape[1:] != query_ND.shape[1:]:
        raise ValueError(f"queries and negatives {tuple(negative_MD.shape)} differ in width")
    if negative_MD is not None and masked and negative_modality_M is None:
        raise ValueError("masked hard negatives need negative_modality_M")
    labels = Labels(
        target_modality_N,
        query_ids_N,
        candidate_ids_N,
        negative_modality_M,
        negative_ids_M,
        candidate_also_ids_N,
        negative_also_ids_M,
    )
    _check_lengths(labels, len(query_ND), 0 if negative_MD is None else len(negative_MD))
    rows = slice(0, len(query_ND))
    return contrast_rows(
        query_ND[rows],
        candidate_ND[rows],
        query_ND,
        candidate_ND,
        negative_MD,
        labels,
        rows,
        temperature=temperature,
        symmetric=symmetric,
        masked=masked,
    )


def contrast_rows(
    local_query_AD: Tensor,
    local_candidate_AD: Tensor,
    query_ND: Tensor,
    candidate_ND: Tensor,
    negative_MD: Tensor | None,
    labels: Labels,
    rows: slice,
    *,
    temperature: float | Tensor,
    symmetric: bool,
    masked: bool,
) -> Contrast:
    """Contrast some rows of a batch with all of it; `rows` are their places in the batch."""
    excluded_AK, equal_AK = _exclusions(labels, rows, negative_MD, masked=masked)
    keys_KD = candidate_ND if negative_MD is None else torch.cat((candidate_ND, negative_MD))
    loss_A, margin_A = _row_losses(local_query_AD, keys_KD, rows, excluded_AK, temperature)
    loss = loss_A.mean()
    if symmetric:
        back_AN = _no_asker(labels, rows, masked=masked)
        back_A, _ = _row_losses(local_candidate_AD, query_ND, rows, back_AN, temperature)
        loss = (loss + back_A.mean()) / 2
    own = 1  # every row's own positive is excluded as its rival
    return Contrast(
        loss=loss,
        row_loss_A=loss_A.detach(),
        correct_A=margin_A.detach() < 0,
        rivals_A=(~excluded_AK).sum(1),
        duplicates_A=equal_AK.sum(1) - own,
    )


def _check_lengths(labels: Labels, pairs: int, negatives: int) -> None:
    """One label a row: a single one would spread over all and mask them without a word."""
    for field in fields(labels):
        part_N = getattr(labels, field.name)
        count = negatives if field.name.startswith("negative") else pairs
        if part_N is not None and part_N.shape != (count,):
            raise ValueError(f"{field.name} is {tuple(part_N.shape)} for {count} rows")


def _exclusions(
    labels: Labels, rows: slice, negative_MD: Tensor | None, *, masked: bool
) -> tuple[Tensor, Tensor]:
    """Which keys are no rivals of which row (A, K), and which of them for equal meaning."""
    own, target_N = labels.candidate_ids_N, labels.target_modality_N
    equal_AN = _same_row_or_id(labels, rows) | _equal(own, labels.candidate_also_ids_N, rows)
    count = 0 if negative_MD is None else len(negative_MD)
    equal_AM = equal_AN.new_zeros(len(equal_AN), count)
    if count:
        equal_AM = equal_AM | _equal(own, labels.negative_ids_M, rows)
        equal_AM = equal_AM | _equal(own, labels.negative_also_ids_M, rows)
    equal_AK = torch.cat((equal_AN, equal_AM), dim=1)
    if not masked:
        return equal_AK, equal_AK
    modality_K = target_N
    if labels.negative_modality_M is not None:
        modality_K = torch.cat((target_N, labels.negative_modality_M))
    foreign_AK = target_N[rows, None] != modality_K
    return equal_AK | foreign_AK, equal_AK & ~foreign_AK


def _no_asker(labels: Labels, rows: slice, *, masked: bool) -> Tensor:
    """Which queries are no rivals of which row's candidate (A, N): those that it answers too."""
    also_N, target_N = labels.candidate_also_ids_N, labels.target_modality_N
    excluded_AN = _same_row_or_id(labels, rows) | _equal(also_N, labels.candidate_ids_N, rows)
    return excluded_AN | (target_N[rows, None] != target_N) if masked else excluded_AN


def _same_row_or_id(labels: Labels, rows: slice) -> Tensor:
    """Pairs that are one, or whose queries or candidates mean the same (A, N)."""
    index_N = torch.arange(len(labels.target_modality_N), device=labels.target_modality_N.device)
    equal_AN = index_N[rows, None] == index_N
    for ids_N in (labels.query_ids_N, labels.candidate_ids_N):
        equal_AN = equal_AN | _equal(ids_N, ids_N, rows)
    return equal_AN


def _equal(ids_N: Tensor | None, others_K: Tensor | None, rows: slice) -> Tensor | bool:
    """Where a row's id is among others (A, K); nowhere if either is not given."""
    if ids_N is None or others_K is None:
        return False
    return ids_N[rows, None] == others_K


def _row_losses(
    anchor_AD: Tensor,
    key_KD: Tensor,
    rows: slice,
    excluded_AK: Tensor,
    temperature: float | Tensor,
) -> tuple[Tensor, Tensor]:
    """Loss of each row, and its best rival's score above its positive's, both (A,)."""
    kind = torch.float64 if anchor_AD.dtype == torch.float64 else torch.float32
    anchor_AD, key_KD = anchor_AD.to(kind), key_KD.to(kind)
    score_AK = anchor_AD @ key_KD.T
    own_A1 = (anchor_AD * key_KD[rows]).sum(1, keepdim=True)
    # Half the lowest number instead of -inf: a row without rivals then has gradient 0, not NaN.
    floor = torch.finfo(kind).min / 2
    margin_AK = ((score_AK - own_A1) / temperature).masked_fill(excluded_AK, floor)
    return F.softplus(torch.logsumexp(margin_AK, dim=1), threshold=60), margin_AK.amax(1)
