"""An item on its way through the machine, and the media that it shows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from unite.embedder.decode import Promise
from unite.embedder.encode import Encoded
from unite.errors import ItemError
from unite.model.preprocess import Pixels, Seen
from unite.types import Embedding, Item


@dataclass(slots=True, weakref_slot=True, eq=False)
class Medium:
    """One picture or clip, however many items show it, and the bytes of it that wait."""

    promise: Promise
    held: int = 0


@dataclass(slots=True)
class Row:
    """An item on its way."""

    item: Item
    media: Sequence[Medium] = ()
    note: str | None = None
    tokens: int = 0
    batch: Future[Encoded] | None = None
    place: int = 0
    result: Embedding | None = None

    @property
    def ready(self) -> bool:
        """Whether its media are there."""
        return all(medium.promise.done() for medium in self.media)

    @property
    def done(self) -> bool:
        """Whether `settle` answers at once."""
        return self.result is not None or (self.batch is not None and self.batch.done())

    def settle(self) -> Embedding:
        """The result; the batch that it came from is let go."""
        if self.result is None:
            assert self.batch is not None
            outcome = self.batch.result().outcomes[self.place]
            if isinstance(outcome, ItemError):
                self.result = Embedding(None, error=str(outcome))
            else:
                self.result = Embedding(outcome, note=self.note, tokens=self.tokens)
            self.batch = None
        return self.result


def key_of(item: Item) -> Hashable | None:
    """Equal for items that are embedded alike; None for pictures in memory, which may change."""
    if not all(isinstance(image, str) for image in item.images):
        return None
    return replace(item, id=None)


def bytes_of(pixels: Pixels | Seen) -> int:
    """What a decoded medium takes while it waits."""
    return pixels.patches_PK.nbytes if isinstance(pixels, Pixels) else pixels.values_VD.nbytes
