"""The trusted form itself, against torch's own cross-entropy where that defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from unite.loss.dense import dense_loss


def vectors(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5))


@pytest.mark.parametrize("symmetric", [False, True])
def test_without_mask_it_is_cross_entropy_over_the_batch(symmetric: bool) -> None:
    query, candidate = vectors(7, 0), vectors(7, 1)
    logits = torch.from_numpy(query @ candidate.T) / 0.3
    expected = cross_entropy(logits, torch.arange(7))
    if symmetric:
        expected = (expected + cross_entropy(logits.T, torch.arange(7))) / 2
    found = dense_loss(
        query, candidate, np.ones(7, np.int64), temperature=0.3, symmetric=symmetric, masked=False
    )
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_the_mask_leaves_a_block_for_each_modality() -> None:
    query, candidate = vectors(6, 2), vectors(6, 3)
    codes = np.array([1, 2, 1, 2, 2, 4])
    logits = torch.from_numpy(query @ candidate.T) / 0.3
    logits[torch.from_numpy(codes[:, None] != codes)] = -torch.inf
    expected = cross_entropy(logits, torch.arange(6))
    assert dense_loss(query, candidate, codes, temperature=0.3) == pytest.approx(float(expected))


def test_hard_negatives_are_more_columns() -> None:
    query, candidate, negative = vectors(4, 4), vectors(4, 5), vectors(3, 6)
    logits = torch.from_numpy(query @ np.concatenate((candidate, negative)).T) / 0.3
    found = dense_loss(
        query, candidate, np.ones(4, np.int64), temperature=0.3, negative_MD=negative, masked=False
    )
    assert found == pytest.approx(float(cross_entropy(logits, torch.arange(4))))
