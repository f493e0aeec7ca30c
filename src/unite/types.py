"""The few types that every part shares: modalities, items, pairs, vectors, hits."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from unite.errors import DataError, ItemError, did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

Vector = npt.NDArray[np.float32]
"""One embedding, shape (D,), unit length."""


class Modality(enum.IntFlag):
    """What an item is made of; fused items are the OR of their parts (paper section 3.2)."""

    TEXT = 1
    IMAGE = 2
    VIDEO = 4

    @property
    def label(self) -> str:
        """Name in the order text, image, video: ``text+image``."""
        return "+".join(name for bit, name in _NAMES.items() if bit in self)

    @classmethod
    def parse(cls, text: str) -> Modality:
        """Read ``"text+image"`` or ``"text,image"``.

        Raises:
            DataError: A name is none of text, image, video.
        """
        found = cls(0)
        for word in text.replace("+", ",").split(","):
            bit = _BITS.get(word.strip().lower())
            if bit is None:
                hint = did_you_mean(word.strip(), _BITS)
                raise DataError(f"{word.strip()!r} in {text!r} is not a modality.", hint)
            found |= bit
        return found


_NAMES = {Modality.TEXT: "text", Modality.IMAGE: "image", Modality.VIDEO: "video"}
_BITS = {name: bit for bit, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class Clip:
    """A reference to a video file, or to the part of it between two times in seconds."""

    path: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """Anything that can be embedded. Holds references, not pixels.

    Attributes:
        text: The item's own words; ``<|IMAGE|>`` and ``<|VIDEO|>`` mark where its media go.
        images: Paths, or pictures already in memory.
        videos: Clips.
        instruction: What the embedding is for; stands before the text.
        order: The order in which the parts are named in the prompt; by default text, image, video.
        id: The caller's name for the item.

    Raises:
        ItemError: The item has no part at all, a part of a wrong type, or an order that does not
            name its parts.
    """

    text: str | None = None
    images: tuple[str | Image, ...] = ()
    videos: tuple[Clip, ...] = ()
    instruction: str | None = None
    order: tuple[Modality, ...] = ()
    id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str | None):
            raise ItemError(f"The text is a string, not {type(self.text).__name__}.")
        _check_all("images", self.images, _is_image, "paths as strings or PIL images")
        _check_all("videos", self.videos, lambda one: isinstance(one, Clip), "Clips")
        present = self.modality
        if not present:
            raise ItemError(
                "The item is empty.", "Give at least one of 'text', 'image' and 'video'."
            )
        if not self.order:
            parts = tuple(bit for bit in _NAMES if bit in present)
            object.__setattr__(self, "order", parts)
        elif set(self.order) != set(present) or len(set(self.order)) != len(self.order):
            named = ", ".join(bit.label for bit in self.order)
            raise ItemError(
                f"The order ({named}) does not name the item's parts ({present.label})."
            )

    @property
    def modality(self) -> Modality:
        """The parts that are present; an instruction does not count."""
        found = Modality.TEXT if self.text is not None else Modality(0)
        if self.images:
            found |= Modality.IMAGE
        if self.videos:
            found |= Modality.VIDEO
        return found


def _is_image(one: object) -> bool:
    return isinstance(one, str) or hasattr(one, "convert")  # a PIL image, without importing PIL


def _check_all(name: str, held: object, fits: Callable[[object], bool], what: str) -> None:
    if not isinstance(held, tuple):
        raise ItemError(
            f"{name!r} is a tuple of {what}, not {type(held).__name__}.", f"Write {name}=(…,)."
        )
    for one in held:
        if not fits(one):
            raise ItemError(f"{name!r} holds {what}, not {type(one).__name__}.")


@dataclass(frozen=True, slots=True)
class Pair:
    """One training example: a query, what it should find, and what it should not.

    Attributes:
        query: The query side.
        candidate: The positive.
        negatives: Hard negatives; any number.
        target_modality: The modality of the wanted candidate; decides the mask of MAMCL.
        query_id: Content id: equal for two queries of equal meaning.
        candidate_id: Content id of the positive.
        negative_ids: Content ids of the hard negatives, one each.
        source: The name of the data set the pair comes from.
        candidate_also_id: Another meaning that the candidate has as well, such as that of a
            coarse caption; it is no rival to pairs that want that meaning.
        negative_also_ids: The same of the hard negatives; empty if there are none.
    """

    query: Item
    candidate: Item
    negatives: tuple[Item, ...]
    target_modality: Modality
    query_id: str
    candidate_id: str
    negative_ids: tuple[str, ...]
    source: str
    candidate_also_id: str | None = None
    negative_also_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embedding:
    """What became of one item: a vector, or the reason why there is none.

    Attributes:
        vector: Shape (D,), float32, unit length; None on failure.
        error: The reason of the failure.
        note: What a reader should know although it went well.
        tokens: How many the network read for it; 0 where nobody counted.
    """

    vector: Vector | None
    error: str | None = None
    note: str | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a search: where it lies and how near it is (cosine)."""

    id: str
    path: str
    modality: str
    score: float
    start: float | None = None
    end: float | None = None


class Encoder(Protocol):
    """What evaluation, library and serve need of a model: nothing of torch."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def model_id(self) -> str:
        """Hash of all that shapes a vector: weights, prompt, pixels, frames, pooling."""
        ...

    @property
    def dtype(self) -> str:
        """What the network computes in, which rounds vectors and is no part of the id."""
        ...

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        """Embed items in order, one result each; a bad item gives an error, not an exception."""
        ...
