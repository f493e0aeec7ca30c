"""Pairs become the joint batch that the loss takes.

Shapes: R rows: queries, candidates and hard negatives together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from unite.loss.module import CANDIDATE, LABELS, NEGATIVE, QUERY
from unite.model.preprocess import Features, Pixels, Preprocessor, Seen
from unite.types import Clip, Item, Pair

if TYPE_CHECKING:
    from PIL.Image import Image

    See = Callable[[str | Image | Clip], Pixels | Seen]


@dataclass(frozen=True, slots=True)
class Side:
    """A prepared item and what the loss must know of it, in the order of `LABELS`."""

    features: Features
    labels: tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class PairCollator:
    """Prepares all sides of some pairs as one column of features.

    Attributes:
        preprocessor: Turns items into tensors.
        hard_negatives: Whether the pairs' hard negatives are used.
    """

    preprocessor: Preprocessor
    hard_negatives: bool = True

    def items(self, pair: Pair) -> list[Item]:
        """The sides of a pair that are used."""
        return [pair.query, pair.candidate, *(pair.negatives if self.hard_negatives else ())]

    def sides(self, pair: Pair, see: See) -> list[Side]:
        """Prepare a pair.

        Args:
            pair: What is prepared.
            see: Gives the pixels of a medium. One that occurs twice in a batch is computed once
                if the same object is given twice.

        Raises:
            ItemError: A side cannot be prepared.
        """
        return [
            Side(self.preprocessor(item, see), labels)
            for item, labels in zip(self.items(pair), self._labels(pair), strict=True)
        ]

    def __call__(self, pairs: Sequence[Sequence[Side]]) -> dict[str, Any]:
        """Return the encoder's inputs with `LABELS`."""
        sides = [side for pair in pairs for side in pair]
        batch = self.preprocessor.collate([side.features for side in sides])
        labels_5R = torch.tensor([side.labels for side in sides]).T
        batch |= dict(zip(LABELS, labels_5R.contiguous(), strict=True))
        batch["has_negatives"] = self.hard_negatives
        return batch

    def _labels(self, pair: Pair) -> Iterator[tuple[int, int, int, int, int]]:
        """Side, modality code, content id, other id of each item, and whether it is instructed."""
        query, wanted = _code(pair.query_id), _code(pair.candidate_id)
        other = pair.candidate_also_id or pair.candidate_id
        yield QUERY, int(pair.query.modality), query, query, bool(pair.query.instruction)
        yield CANDIDATE, int(pair.target_modality), wanted, _code(other), False
        if self.hard_negatives:
            also = pair.negative_also_ids or pair.negative_ids
            for item, name, other in zip(pair.negatives, pair.negative_ids, also, strict=True):
                # Of the same parts as what is wanted, it is what is wanted, whatever its parts are.
                alike = item.modality == pair.candidate.modality
                modality = pair.target_modality if alike else item.modality
                yield NEGATIVE, int(modality), _code(name), _code(other), False


def _code(content_id: str) -> int:
    """A content id as a 63-bit number; equal meanings of different sources stay equal."""
    digest = hashlib.blake2b(content_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
