"""The loss as its definition reads, in float64 and without any trick: for tests only to trust."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def dense_loss(
    query_ND: Array,
    candidate_ND: Array,
    target_modality_N: Codes,
    *,
    temperature: float = 0.03,
    negative_MD: Array | None = None,
    negative_modality_M: Codes | None = None,
    query_ids_N: Codes | None = None,
    candidate_ids_N: Codes | None = None,
    negative_ids_M: Codes | None = None,
    candidate_also_ids_N: Codes | None = None,
    negative_also_ids_M: Codes | None = None,
    query_modality_N: Codes | None = None,
    symmetric: bool = False,
    masked: bool = True,
) -> float:
    """Return what `mamcl_loss` returns, row by row and term by term.

    Args: as of `unite.loss.mamcl_loss`, in numpy.
    """
    forward, backward = [], []
    asked = query_ids_N, candidate_ids_N
    count = len(query_ND)
    for i in range(count):
        keys = [candidate_ND[i]]
        asking = [query_ND[i]]
        for j in range(count):
            same = j == i
            same |= query_ids_N is not None and query_ids_N[i] == query_ids_N[j]
            same |= candidate_ids_N is not None and candidate_ids_N[i] == candidate_ids_N[j]
            foreign = masked and target_modality_N[i] != target_modality_N[j]
            asks = target_modality_N if query_modality_N is None else query_modality_N
            unasked = masked and asks[i] != asks[j]
            held = candidate_ids_N, candidate_also_ids_N
            if not (same or foreign or any(_answers(*asked, i, ids_N, j) for ids_N in held)):
                keys.append(candidate_ND[j])
            if not (same or unasked or any(_answers(*asked, j, ids_N, i) for ids_N in held)):
                asking.append(query_ND[j])
        for m in range(0 if negative_MD is None else len(negative_MD)):
            assert negative_MD is not None
            foreign = masked and (
                negative_modality_M is None or negative_modality_M[m] != target_modality_N[i]
            )
            held = negative_ids_M, negative_also_ids_M
            if not (foreign or any(_answers(*asked, i, ids_M, m) for ids_M in held)):
                keys.append(negative_MD[m])
        forward.append(_cross_entropy(query_ND[i], keys, temperature))
        backward.append(_cross_entropy(candidate_ND[i], asking, temperature))
    loss = float(np.mean(forward))
    return (loss + float(np.mean(backward))) / 2 if symmetric else loss


def _answers(
    query_ids_N: Codes | None,
    candidate_ids_N: Codes | None,
    i: int,
    held_K: Codes | None,
    k: int,
) -> bool:
    """Whether key k holds what query i wants, here or in another row, or the query itself."""
    if candidate_ids_N is None or held_K is None:
        return False
    wanted = {int(candidate_ids_N[i])}
    if query_ids_N is not None:
        rows = zip(query_ids_N, candidate_ids_N, strict=True)
        wanted |= {int(query_ids_N[i]), *(int(c) for q, c in rows if q == query_ids_N[i])}
    return int(held_K[k]) in wanted


def _cross_entropy(anchor_D: Array, keys: list[Array], temperature: float) -> float:
    """Minus the log of the first key's share of the softmax."""
    logits = np.array([anchor_D @ key for key in keys]) / temperature
    top = logits.max()
    return float(top + np.log(np.exp(logits - top).sum()) - logits[0])
