"""Modal-aware masked contrastive learning (MAMCL, paper section 3.3) and plain InfoNCE.

A query is contrasted only with candidates of its positive's modality. Two forms of one
formula: with q the anchor, c its positive and R its rivals,

    loss = log(1 + Σ_{r∈R} exp((q·r − q·c) / τ))

which is softmax cross-entropy shifted by the positive (see `unite.loss.strips`). The shift keeps
easy rows exact in fp32, where log_softmax loses three digits, and a row without rivals has loss 0
and no gradient.

Shapes: N pairs, M hard negatives, D width, A anchors (the local ones of the N), K keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from unite.loss.strips import Rivals, strip_losses
from unite.loss.two_way import Join, two_way_losses

_NO_ID = torch.iinfo(torch.long).min


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
        query_modality_N: Modality codes of the queries; None masks candidates' rivals by target.
    """

    target_modality_N: Tensor
    query_ids_N: Tensor | None = None
    candidate_ids_N: Tensor | None = None
    negative_modality_M: Tensor | None = None
    negative_ids_M: Tensor | None = None
    candidate_also_ids_N: Tensor | None = None
    negative_also_ids_M: Tensor | None = None
    query_modality_N: Tensor | None = None


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
    query_modality_N: Tensor | None = None,
    symmetric: bool = False,
    masked: bool = True,
    strip_bytes: int | None = None,
) -> Contrast:
    """Contrast each query with its own candidate against the others.

    Args:
        query_ND: Query embeddings, unit length.
        candidate_ND: Row i holds the positive of query i.
        target_modality_N: Modality code of each wanted candidate (text 1, image 2, video 4).
        temperature: τ; a tensor may be learnable.
        negative_MD: Hard negatives; every one serves every row.
        negative_modality_M: Their modality codes; needed when masked.
        query_ids_N: Content ids: rows of equal query id are not each other's rivals, nor is what
            answers one of them a rival to another.
        candidate_ids_N: Content ids, in the queries' name space: neither are rows of equal
            candidate id, and no query is contrasted with its own content.
        negative_ids_M: Content ids of the negatives, in the same name space.
        candidate_also_ids_N: Another meaning that each candidate has as well: a picture of a
            small red star on the left also answers "a red star". It is no rival to a query
            that wants that meaning.
        negative_also_ids_M: The same of the negatives.
        symmetric: Also contrast candidates with queries. The mask then holds there as well:
            a candidate's rivals are the queries whose target modality is its own, which is
            our reading; the paper defines one direction.
        query_modality_N: Modality codes of the queries. With them the other reading holds in the
            symmetric form: a candidate's rivals are the queries of its own query's modality.
        masked: False gives InfoNCE.
        strip_bytes: Memory for the scores of a strip of rows, a few times of which is used; None:
            8 MB, or what 512 rows take.

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
        query_modality_N,
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
        strip_bytes=strip_bytes,
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
    strip_bytes: int | None = None,
    join: Join | None = None,
) -> Contrast:
    """Contrast some rows of a batch with all of it; `rows` are their places in the batch.

    `query_ND` is looked at only under the other reading of the symmetric mask.
    """
    keys_KD = candidate_ND if negative_MD is None else torch.cat((candidate_ND, negative_MD))
    rivals = _rivals(labels, rows, len(keys_KD), masked=masked)
    pair = local_query_AD, keys_KD
    if not symmetric or (masked and labels.query_modality_N is not None):
        forward = strip_losses(*pair, rivals, temperature, strip_bytes=strip_bytes)
        loss = forward.loss
    else:
        forward = two_way_losses(
            *pair, len(candidate_ND), rivals, temperature, join=join, strip_bytes=strip_bytes
        )
        loss = forward.loss
    if symmetric and masked and labels.query_modality_N is not None:
        asked = _askers(labels, labels.query_modality_N, rows)
        back = strip_losses(
            local_candidate_AD, query_ND, asked, temperature, strip_bytes=strip_bytes
        )
        loss = (loss + back.loss) / 2
    return Contrast(
        loss=loss,
        row_loss_A=forward.row_loss_A,
        correct_A=forward.best_A < 0,
        rivals_A=forward.rivals_A,
        duplicates_A=forward.duplicates_A,
    )


def _check_lengths(labels: Labels, pairs: int, negatives: int) -> None:
    """One label a row: a single one would spread over all and mask them without a word."""
    for field in fields(labels):
        part_N = getattr(labels, field.name)
        count = negatives if field.name.startswith("negative") else pairs
        if part_N is not None and part_N.shape != (count,):
            raise ValueError(f"{field.name} is {tuple(part_N.shape)} for {count} rows")


def _rivals(labels: Labels, rows: slice, keys: int, *, masked: bool) -> Rivals:
    """Whom the queries of some rows are contrasted with: candidates, then hard negatives."""
    target_N, own_N = labels.target_modality_N, labels.candidate_ids_N
    others = keys - len(target_N)

    def joined(ids_N: Tensor | None, ids_M: Tensor | None) -> Tensor:
        """Ids of all keys; where none are given, one that equals no other."""
        counts = ((ids_N, len(target_N)), (ids_M, others))
        none = torch.tensor(_NO_ID, device=target_N.device)
        return torch.cat([none.expand(count) if ids is None else ids for ids, count in counts])

    equal, query_N = [], labels.query_ids_N
    if query_N is not None:
        equal.append((query_N[rows], joined(query_N, None)))
    if own_N is not None:
        id_K = joined(own_N, labels.negative_ids_M)
        also_K = joined(labels.candidate_also_ids_N, labels.negative_also_ids_M)
        equal += [(own_N[rows], id_K), (own_N[rows], also_K)]
        if query_N is not None:
            for held_K in (id_K, also_K):
                known = (held_K, *_asked(query_N, own_N, held_K))
                equal += [(query_N[rows], asked_K) for asked_K in known]
    return _grouped(rows, target_N, joined(target_N, labels.negative_modality_M), equal, masked)


def _asked(query_ids_N: Tensor, candidate_ids_N: Tensor, id_K: Tensor) -> Iterator[Tensor]:
    """Queries that some keys answer in other rows of the batch.

    Only queries with several answers count: what answers one has the answer's id, which is compared
    as it is.

    Yields:
        Query ids of the keys (K,), as often as a key has several; no id where there is none.
    """
    pair_P2 = torch.stack((candidate_ids_N, query_ids_N), 1).unique(dim=0)
    _, number_P, count = torch.unique(pair_P2[:, 1], return_inverse=True, return_counts=True)
    several_P = count[number_P] > 1
    answer_P, query_P = pair_P2[several_P].unbind(1)  # still in order of the answers
    if not len(answer_P):
        return
    first_K = torch.searchsorted(answer_P.contiguous(), id_K)
    number_K = torch.searchsorted(answer_P.contiguous(), id_K, right=True) - first_K
    for place in range(int(number_K.max())):
        there_K = place < number_K
        at_K = (first_K + place).clamp(max=len(query_P) - 1)
        yield torch.where(there_K, query_P[at_K], _NO_ID)


def _askers(labels: Labels, query_modality_N: Tensor, rows: slice) -> Rivals:
    """Whom the candidates of some rows are contrasted with: the queries that they do not answer."""
    own_N, also_N, query_N = labels.candidate_ids_N, labels.candidate_also_ids_N, labels.query_ids_N
    equal = [(ids_N[rows], ids_N) for ids_N in (query_N, own_N) if ids_N is not None]
    if also_N is not None and own_N is not None:
        equal.append((also_N[rows], own_N))
    if query_N is not None and own_N is not None:
        for held_N in (own_N, also_N):
            if held_N is not None:
                known = (held_N, *_asked(query_N, own_N, held_N))
                equal += [(asked_N[rows], query_N) for asked_N in known]
    return _grouped(rows, query_modality_N, query_modality_N, equal, masked=True)


def _grouped(
    rows: slice,
    group_N: Tensor,
    group_K: Tensor,
    equal: list[tuple[Tensor, Tensor]],
    masked: bool,
) -> Rivals:
    """Groups by modality, or all in one; row i's positive is key i."""
    own_A = torch.arange(len(group_N), device=group_N.device)[rows]
    group_A = group_N[rows]
    if not masked:
        group_A, group_K = torch.zeros_like(group_A), torch.zeros_like(group_K)
    return Rivals(own_A, group_A, group_K, equal)
