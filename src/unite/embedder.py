"""Many items to many vectors: in order, row for row, a bad item costing only itself.

Items are read a window at a time, prepared in threads while the network runs, and sent
through it in batches of similar length under a budget of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Self

import numpy as np

from unite.errors import ItemError
from unite.media.source import Limits
from unite.model.checkpoint import Model, load_model
from unite.model.preprocess import Features, Pixels, Preprocessor
from unite.types import Clip, Embedding, Item, Vector

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 128
TOKEN_BUDGET = 8192


class Embedder:
    """A loaded model that embeds; satisfies `unite.types.Encoder`.

    Args:
        model: What to embed with.
        see: Gives the pixels of a medium; a cache may stand here.
        threads: Items prepared at the same time.
        fit: Whether a clip gives up frames where its item would be longer than the model takes.
        limits: The largest media that are opened.
    """

    def __init__(
        self,
        model: Model,
        *,
        see: Callable[[str | Image | Clip], Pixels] | None = None,
        threads: int = 2,
        fit: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.model = model
        self.preprocessor = Preprocessor(model.tokenizer, model.policy, limits, fit=fit)
        self._prepare = partial(_prepare, self.preprocessor, see)
        self._threads = threads

    @classmethod
    def open(
        cls,
        name: str,
        *,
        dtype: str | None = None,
        nframes: int | None = None,
        fps: float | None = None,
        max_frames: int | None = None,
        fit: bool = False,
        limits: Limits | None = None,
    ) -> Self:
        """Load a model to embed with.

        Args:
            name: A directory, `mini`, an alias such as `base-2b`, or a hub id.
            dtype: `float32` or `bfloat16`; by default what the machine computes faster.
            nframes: A fixed number of frames a clip.
            fps: Frames a second of a clip.
            max_frames: At most so many frames a clip.
            fit: Take fewer still where an item would be longer than the model takes.
            limits: The largest media that are opened.

        Raises:
            CheckpointError: There is no such model, or it is not whole.
        """
        model = load_model(name, dtype=dtype)
        policy = model.policy.with_frames(nframes, fps, max_frames)
        return cls(replace(model, policy=policy), fit=fit, limits=limits)

    @property
    def name(self) -> str:
        """What the user called the model."""
        return self.model.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.model.dim

    @property
    def model_id(self) -> str:
        """Hash of all that shapes a vector."""
        return self.model.id

    @property
    def mixed_gallery(self) -> bool:
        """Whether scores of candidates of different modalities are on one scale."""
        return self.model.policy.mixed_gallery

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        """Embed items in order, one result each.

        Args:
            items: Any mix; read a window at a time.

        Yields:
            A vector or the reason why there is none, as many as items.
        """
        stream = iter(items)
        with ThreadPoolExecutor(self._threads) as pool:
            ahead = list(pool.map(self._prepare, islice(stream, WINDOW)))
            while ahead:
                window = ahead
                # The next window is prepared while this one runs through the network.
                coming = [pool.submit(self._prepare, item) for item in islice(stream, WINDOW)]
                yield from self._run(window)
                ahead = [future.result() for future in coming]

    def _run(self, window: Sequence[Features | str]) -> list[Embedding]:
        results = [
            Embedding(None, error=part) if isinstance(part, str) else None for part in window
        ]
        good = [(row, part) for row, part in enumerate(window) if isinstance(part, Features)]
        for batch in _batches(good):
            for (row, features), vector in zip(
                batch, self._forward([part for _, part in batch]), strict=True
            ):
                results[row] = Embedding(vector, note=features.note)
        return [result for result in results if result is not None]

    def _forward(self, features: Sequence[Features]) -> Iterable[Vector]:
        import torch
        from torch.nn.functional import normalize

        encoder = self.model.encoder
        device = next(encoder.parameters()).device
        batch = self.preprocessor.collate(features)
        patches_PK = batch["patches_PK"]
        with torch.inference_mode():
            hidden_BD = encoder(
                batch["input_ids_BL"].to(device),
                batch["length_B"].to(device),
                None if patches_PK is None else patches_PK.to(device),
                batch["grids"],
                batch["media"],
            )
            vectors: Iterable[Vector] = normalize(hidden_BD.float(), dim=-1).cpu().numpy()
        return vectors


def _prepare(
    preprocessor: Preprocessor,
    see: Callable[[str | Image | Clip], Pixels] | None,
    item: Item,
) -> Features | str:
    """The item's features, or what is wrong with it."""
    try:
        return preprocessor(item, see)
    except ItemError as error:
        return str(error)


def _batches(
    good: Sequence[tuple[int, Features]],
) -> Iterator[list[tuple[int, Features]]]:
    """Split a window into batches of similar length, each within the token budget."""
    batch: list[tuple[int, Features]] = []
    for row, features in sorted(good, key=lambda part: -len(part[1].input_ids_L)):
        longest = len(batch[0][1].input_ids_L) if batch else 0
        if batch and longest * (len(batch) + 1) > TOKEN_BUDGET:
            yield batch
            batch = []
        batch.append((row, features))
    if batch:
        yield batch


def stack(embeddings: Iterable[Embedding], dim: int) -> Vector:
    """Put vectors into one matrix (N, D); a failed item becomes a row of zeros.

    A zero row scores 0 with everything, so that it is never found before a real one.
    """
    rows = [
        np.zeros(dim, np.float32) if part.vector is None else part.vector for part in embeddings
    ]
    return np.stack(rows) if rows else np.empty((0, dim), np.float32)
