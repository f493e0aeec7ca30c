"""Prepared items through the network: batches by tokens, the prompt's constant head once for all.

Shapes: B items of a batch, D width, L tokens of an item.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unite.errors import ItemError, TooLongError
from unite.model.preprocess import Features, Preprocessor
from unite.prompts import render
from unite.types import Item, Vector

if TYPE_CHECKING:
    from unite.model.checkpoint import Model
    from unite.model.qwen2_vl import Prefix

Ids = npt.NDArray[np.int64]
Outcome = Vector | ItemError


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a batch: a vector each, or why there is none, and how long it took."""

    outcomes: Sequence[Outcome]
    seconds: float


class BatchEncoder:
    """Runs batches on one device. The model's weights must not change while it is in use.

    Args:
        model: The network, where it is to run.
        preprocessor: Makes tensors of features.
    """

    def __init__(self, model: Model, preprocessor: Preprocessor) -> None:
        self.model = model
        self.preprocessor = preprocessor

    def __call__(self, batch: Sequence[Features]) -> Encoded:
        """Embed a batch; one too large for the device's memory is halved."""
        start = time.perf_counter()
        outcomes = self._halving(batch)
        return Encoded(outcomes, time.perf_counter() - start)

    def _halving(self, batch: Sequence[Features]) -> list[Outcome]:
        import torch

        try:
            return list(self._forward(batch))
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                tokens = len(batch[0].input_ids_L)
                return [
                    TooLongError(
                        f"The item's {tokens} tokens do not fit into the device's memory.",
                        "Take fewer frames or a smaller --max-pixels, or a larger device.",
                    )
                ]
        half = len(batch) // 2
        return self._halving(batch[:half]) + self._halving(batch[half:])

    def _forward(self, batch: Sequence[Features]) -> list[Outcome]:
        import torch
        from torch.nn.functional import normalize

        encoder = self.model.encoder
        device = next(encoder.parameters()).device
        tensors = self.preprocessor.collate(batch)
        patches_PK = tensors["patches_PK"]
        with torch.inference_mode():
            known = {} if self._prefix is None else self._known(batch, *self._prefix)
            hidden_BD = encoder(
                tensors["input_ids_BL"].to(device),
                tensors["length_B"].to(device),
                None if patches_PK is None else patches_PK.to(device),
                tensors["grids"],
                tensors["media"],
                **known,
            )
            vector_BD = normalize(hidden_BD.float(), dim=-1).cpu().numpy()
        return [
            vector_D if np.isfinite(vector_D).all() else _not_finite() for vector_D in vector_BD
        ]

    @cached_property
    def _prefix(self) -> tuple[Ids, Prefix] | None:
        """The tokens with which every prompt begins, computed; None where the network cannot."""
        import torch

        from unite.model.qwen2_vl import Qwen2VLEncoder

        encoder = self.model.encoder
        if not isinstance(encoder, Qwen2VLEncoder):
            return None
        ids_S = constant_head(self.preprocessor)
        device = next(encoder.parameters()).device
        with torch.inference_mode():
            return ids_S, encoder.remember(torch.from_numpy(ids_S).to(device))

    @staticmethod
    def _known(batch: Sequence[Features], ids_S: Ids, prefix: Prefix) -> dict[str, Prefix]:
        heads = (part.input_ids_L[: len(ids_S)] for part in batch)
        fits = all(np.array_equal(head, ids_S) for head in heads)
        return {"prefix": prefix} if fits else {}


def _not_finite() -> ItemError:
    return ItemError(
        "The network gave no finite vector.",
        "The weights are damaged, or overflow in this dtype: try float32.",
    )


def constant_head(preprocessor: Preprocessor) -> Ids:
    """The leading token ids (S,) that prompts have in common, whatever the item."""
    rows = [
        preprocessor.tokenizer.encode(render(Item(text=text)).text, add_special_tokens=False).ids
        for text in ("", "a", "1\n\nb", "<|VIDEO|>".lower())
    ]
    shared = next(
        (place for place, ids in enumerate(zip(*rows, strict=False)) if len(set(ids)) > 1),
        min(map(len, rows)),
    )
    return np.array(rows[0][:shared], dtype=np.int64)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut a window into batches of similar length.

    Args:
        lengths: Tokens of each item.
        budget: Most tokens of a batch; a longer item is one by itself.

    Yields:
        Numbers of the items of a batch; the batch that holds the first item comes first, so that
        results can be given out in order soon.
    """
    found: list[list[int]] = []
    batch: list[int] = []
    filled = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if batch and filled + lengths[number] > budget:
            found.append(batch)
            batch, filled = [], 0
        batch.append(number)
        filled += lengths[number]
    if batch:
        found.append(batch)
    yield from sorted(found, key=min)
