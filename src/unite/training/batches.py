"""Row numbers become the joint batch that the loss takes.

Shapes: R rows: queries, candidates and hard negatives together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from unite.loss.module import CANDIDATE, NEGATIVE, QUERY
from unite.model.preprocess import Pixels, Preprocessor
from unite.types import Clip, Item, Pair

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class PairCollator:
    """Reads the pairs of a batch and prepares all their sides as one column of features.

    Attributes:
        pairs: All training pairs; a dataset row is a number into them.
        preprocessor: Turns items into tensors.
        see: Gives the pixels of a medium, from a cache or the file.
        hard_negatives: Whether the pairs' hard negatives are used.
    """

    pairs: Sequence[Pair]
    preprocessor: Preprocessor
    see: Callable[[str | Image | Clip], Pixels]
    hard_negatives: bool = True
    valid_label_columns: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        """Return the encoder's inputs with `side`, `modality`, `content_id`, `also_id`."""
        pairs = [self.pairs[row["row"]] for row in rows]
        sides = [side for pair in pairs for side in self._sides(pair)]
        read = cache(self.see)  # a medium that occurs twice is read once and computed once
        features = [self.preprocessor(item, read) for item, *_ in sides]
        batch = self.preprocessor.collate(features)
        names = ("side", "modality", "content_id", "also_id")
        for number, name in enumerate(names, 1):
            batch[name] = torch.tensor([side[number] for side in sides])
        batch["has_negatives"] = self.hard_negatives
        return batch

    def _sides(self, pair: Pair) -> Iterator[tuple[Item, int, int, int, int]]:
        """Each item of a pair with its side, modality code, content id and other id."""
        query, wanted = _code(pair.query_id), _code(pair.candidate_id)
        other = pair.candidate_also_id or pair.candidate_id
        yield pair.query, QUERY, int(pair.query.modality), query, query
        yield pair.candidate, CANDIDATE, int(pair.target_modality), wanted, _code(other)
        if self.hard_negatives:
            also = pair.negative_also_ids or pair.negative_ids
            for item, name, other in zip(pair.negatives, pair.negative_ids, also, strict=True):
                yield item, NEGATIVE, int(item.modality), _code(name), _code(other)


def _code(content_id: str) -> int:
    """A content id as a 63-bit number; equal meanings of different sources stay equal."""
    digest = hashlib.blake2b(content_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
