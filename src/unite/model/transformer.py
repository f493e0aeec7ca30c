"""The model as a SentenceTransformer: our input module, stock pooling and normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from PIL.Image import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor

from unite.data.records import parse_item
from unite.errors import CheckpointError, ItemError
from unite.model.checkpoint import Model, load_model
from unite.model.preprocess import Preprocessor
from unite.types import Item


class UniteTransformer(InputModule):  # type: ignore[misc]
    """Items in, one hidden state each out.

    The network pools by itself (its last layer runs for the pooled token only), so the
    sequence handed to the pooling module has length one.

    Args:
        model: Encoder, tokenizer and policy.
    """

    save_in_root = True

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.bundle = model
        self.encoder = model.encoder
        self.preprocessor = Preprocessor(model.tokenizer, model.policy)
        self.tokenizer = model.tokenizer

    @property
    def modalities(self) -> list[Any]:
        """What `encode` takes; "message" lets lists of mixed items through."""
        return ["text", "image", "video", "message"]

    @property
    def max_seq_length(self) -> int:
        """The longest input in tokens; a longer one is an error, never cut."""
        return self.bundle.policy.max_tokens

    @max_seq_length.setter
    def max_seq_length(self, tokens: int) -> None:
        longest = self.encoder.config.max_positions
        if not isinstance(tokens, int) or not 1 <= tokens <= longest:
            raise ValueError(f"max_seq_length is a number from 1 to {longest}, not {tokens!r}.")
        policy = replace(self.bundle.policy, max_tokens=tokens)
        self.bundle = replace(self.bundle, policy=policy)
        self.preprocessor = Preprocessor(self.tokenizer, policy)

    def get_embedding_dimension(self) -> int:
        """Length of a vector."""
        return self.bundle.dim

    def preprocess(
        self,
        inputs: Sequence[Any],
        prompt: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Turn strings, pictures, item objects or `Item`s into one batch of features.

        Args:
            inputs: Any mix; a plain string is always text, even if it names a file.
            prompt: Goes before each item as its instruction.

        Raises:
            ItemError: One of them cannot be embedded.
        """
        items = [as_item(given, instruction=prompt or None) for given in inputs]
        return self.preprocessor.collate([self.preprocessor(item) for item in items])

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add `token_embeddings` (B, 1, D) and their mask to the features.

        The visual tokens of media that `seen` lacks are computed here and put there.
        """
        features["seen"] = seen = self._see_all(features)
        hidden_BD: Tensor = self.encoder(
            features["input_ids_BL"],
            features["length_B"],
            None,
            features["grids"],
            features["media"],
            seen or None,
        )
        features["token_embeddings"] = hidden_BD[:, None].float()
        features["attention_mask"] = torch.ones(len(hidden_BD), 1, device=hidden_BD.device)
        return features

    def _see_all(self, features: Mapping[str, Any]) -> list[Tensor]:
        seen, grids = features["seen"], features["grids"]
        unseen = [grid for grid, tokens_VD in zip(grids, seen, strict=True) if tokens_VD is None]
        fresh = iter(self.encoder.see(features["patches_PK"], unseen) if unseen else ())
        return [next(fresh) if tokens_VD is None else tokens_VD for tokens_VD in seen]

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write the model's own files into a directory that sentence-transformers fills."""
        from unite.model.checkpoint import write_model_files

        write_model_files(self.bundle, Path(output_path))

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_folder: str | None = None,
        local_files_only: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Self:
        """Load from a model directory or hub id, whole or not at all.

        Args:
            model_name_or_path: See `load`.
            revision: A branch, tag or commit of the hub.
            token: For the hub.
            cache_folder: Where what is downloaded is kept.
            local_files_only: Do not ask the hub.
            model_kwargs: `dtype` or `torch_dtype`, as a name or of torch.
            processor_kwargs: None is taken.
            config_kwargs: None is taken.

        Raises:
            CheckpointError: There is no such model, it is not whole, or another option is given.
        """
        options = dict(model_kwargs or {})
        kind = options.pop("dtype", options.pop("torch_dtype", None))
        options |= {**(processor_kwargs or {}), **(config_kwargs or {})}
        if options:
            raise CheckpointError(
                f"The model takes no {next(iter(options))!r}.",
                "Of model_kwargs it takes dtype, else nothing; its policy is in unite.json.",
            )
        model = load_model(
            model_name_or_path,
            dtype=None if kind in (None, "auto") else str(kind).removeprefix("torch."),
            revision=revision,
            token=token,
            cache_dir=cache_folder,
            local_files_only=local_files_only,
        )
        return cls(model)


def load(name: str, *, dtype: str | None = None) -> SentenceTransformer:
    """Open a model.

    Args:
        name: A directory, `mini`, an alias such as `base-2b`, or a hub id.
        dtype: `float32` or `bfloat16`; by default what the machine computes faster.

    Returns:
        A `SentenceTransformer` whose `encode` takes strings, PIL images, item objects such
        as `{"text": …, "image": path}`, `Item`s, and lists that mix them.

    Raises:
        CheckpointError: There is no such model, or it is not whole.
    """
    return wrap(load_model(name, dtype=dtype))


def wrap(model: Model) -> SentenceTransformer:
    """Make a SentenceTransformer of a loaded model."""
    pooling = Pooling(model.dim, pooling_mode="lasttoken")
    return SentenceTransformer(
        modules=[UniteTransformer(model), pooling, Normalize()], device=_device(), prompts={}
    )


def as_item(given: Any, *, instruction: str | None = None) -> Item:
    """Read what a caller of `encode` may hand over.

    Raises:
        ItemError: It is neither a string, a picture, an object nor an `Item`.
    """
    if isinstance(given, Item):
        return replace(given, instruction=instruction) if given.instruction is None else given
    if isinstance(given, str):
        return Item(text=given, instruction=instruction)
    if isinstance(given, Image):
        return Item(images=(given,), instruction=instruction)
    if isinstance(given, Mapping):
        row = dict(given)
        if row.get("instruction") is None and instruction is not None:
            row["instruction"] = instruction
        return _with_pictures(row)
    raise ItemError(
        f"Cannot embed a {type(given).__name__}.",
        "Give a string, a PIL image, an object with text, image or video, or an Item.",
    )


def _with_pictures(row: dict[str, Any]) -> Item:
    """Parse an object some of whose pictures may be in memory: each stands in for its path."""
    listed = row.get("image")
    given = listed if isinstance(listed, list) else [listed]
    memory = {place: image for place, image in enumerate(given) if isinstance(image, Image)}
    if not memory:
        return parse_item(row)
    row["image"] = ["in memory" if place in memory else image for place, image in enumerate(given)]
    item = parse_item(row)
    images = tuple(memory.get(place, image) for place, image in enumerate(item.images))
    return replace(item, images=images)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
