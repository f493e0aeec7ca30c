"""How long planned rows are: guessed on a sample of them, by their media's first bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite.data.mixture import Plan
from unite.data.store import PairStore
from unite.errors import MediaError
from unite.media.container import opened
from unite.media.image import picture_size
from unite.media.source import Limits
from unite.model.cost import Costs
from unite.model.policy import Policy
from unite.model.preprocess import media_of
from unite.training.estimate import Load
from unite.training.recipe import Recipe
from unite.types import Clip, Item, Pair

_SAMPLED = 320
"""Rows looked at, spread over the pairs of modalities."""
Loads = npt.NDArray[np.float64]
"""Fields of `Load`, a row each pair."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What some planned rows of each kind cost.

    Attributes:
        loads: By kind, the `Load` of each sampled pair.
        too_long: Items above the token limit.
        unreadable: Media that cannot be opened, with the reason.
    """

    loads: dict[int, Loads]
    too_long: int
    unreadable: dict[str, str]

    @classmethod
    def of(cls, recipe: Recipe, policy: Policy, plan: Plan, pairs: PairStore) -> Sample:
        """Look at rows of a plan, as many of every kind."""
        ruler = Ruler(policy, hard_negatives=recipe.loss.hard_negatives)
        limit = recipe.data.max_tokens or policy.max_tokens
        rows, too_long = np.unique(plan.rows), 0
        loads: dict[int, Loads] = {}
        unreadable: dict[str, str] = {}
        kinds = np.unique(pairs.kind_N[rows]).tolist()
        rng = np.random.default_rng(recipe.optimiser.seed)
        for kind in kinds:
            alike = rows[pairs.kind_N[rows] == kind]
            drawn = rng.choice(alike, min(len(alike), -(-_SAMPLED // len(kinds))), replace=False)
            found = [pairs[row] for row in drawn.tolist()]
            loads[kind] = np.stack([ruler.pair(pair) for pair in found])
            too_long += sum(length > limit for pair in found for length in ruler.lengths(pair))
            unreadable |= _unreadable(item for pair in found for item in ruler.items(pair))
        return cls(loads, too_long, unreadable)

    def mean(self, kind: int) -> Load:
        """Of the pairs of a kind."""
        return as_load(self.loads[kind].mean(0))


class Ruler:
    """Measures pairs in the units of `Load`, by `Costs`.

    Args:
        policy: Pixels and frames.
        hard_negatives: Whether the pairs' hard negatives are used.
    """

    def __init__(self, policy: Policy, *, hard_negatives: bool) -> None:
        self.costs = Costs(policy)
        self.hard_negatives = hard_negatives
        self._merged = policy.pixels.merge_size**2
        # Frames come back to the lower limit of the second resize (docs/media.md).
        self._frame = self._merged * policy.pixels.min_pixels / policy.pixels.factor**2
        self._prompt = self.costs.item(Item(text=""))

    def items(self, pair: Pair) -> list[Item]:
        """The sides that are used."""
        return [pair.query, pair.candidate, *(pair.negatives if self.hard_negatives else ())]

    def lengths(self, pair: Pair) -> list[int]:
        """Tokens of each side."""
        return [self.costs.item(item) for item in self.items(pair)]

    def pair(self, pair: Pair) -> Loads:
        """Fields of `Load`."""
        length = np.array(self.lengths(pair), dtype=np.float64)
        media = list(media_of(self.items(pair)))
        visual = np.array([self._visual(medium) for medium in media])
        patches = visual * self._merged
        within = [
            min(self._frame, count) if isinstance(medium, Clip) else count
            for medium, count in zip(media, patches, strict=True)
        ]
        return np.array(
            [len(length), length.sum(), visual.sum(), (length**2).sum(), patches @ within]
        )

    def _visual(self, medium: str | Clip) -> float:
        alone = Item(images=(medium,)) if isinstance(medium, str) else Item(videos=(medium,))
        return float(self.costs.item(alone) - self._prompt)


def as_load(fields: Sequence[float] | Loads) -> Load:
    """Name the fields."""
    items, tokens, visual, squares, slices = map(float, fields)
    return Load(items=items, tokens=tokens, visual=visual, squares=squares, slices=slices)


def _unreadable(items: Iterator[Item]) -> dict[str, str]:
    """Media whose first bytes tell nothing."""
    found = {}
    for medium in dict.fromkeys(media_of(items)):
        try:
            if isinstance(medium, Clip):
                with opened(medium.path, Limits()):
                    pass
            else:
                picture_size(medium, Limits())
        except MediaError as error:
            found[medium.path if isinstance(medium, Clip) else medium] = str(error)
    return found
