"""Drawing scenes, edits and motions; every draw takes the generator it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar
from zlib import crc32

import numpy as np

from unite.world.scenes import (
    CELLS,
    COLOURS,
    DIRECTIONS,
    KINDS,
    NEW_PAIRS,
    NEW_SEQUENCES,
    PAIRS,
    SEEN_PAIRS,
    SHAPES,
    SIZES,
    Edit,
    Motion,
    Scene,
    Thing,
    is_possible,
    still,
)

Rng = np.random.Generator
T = TypeVar("T")

COUNTS = (1, 2, 2, 3, 3)
"""How many things a scene has, each entry as likely."""
ONE_MOTION = 0.35
"""Share of clips with a single motion."""
_TARGETS = {"moves": tuple(DIRECTIONS), "turns": COLOURS}


def rng_for(seed: int, name: str) -> Rng:
    """A generator for one purpose, independent of all others and of the order of work."""
    return np.random.default_rng([seed, crc32(name.encode())])


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def shuffled(rng: Rng, options: Sequence[T]) -> list[T]:
    """The options in a random order."""
    return [options[int(i)] for i in rng.permutation(len(options))]


def sample_still(rng: Rng, *, new: bool = False) -> Scene:
    """Draw a picture.

    Args:
        rng: Where the randomness comes from.
        new: Give it one held-out shape-colour pair; otherwise it has none.
    """
    count = pick(rng, COUNTS)
    cells = shuffled(rng, CELLS)[:count]
    first = [pick(rng, sorted(NEW_PAIRS))] if new else []
    pairs = first + shuffled(rng, SEEN_PAIRS)[: count - len(first)]
    things = [
        Thing(cell, shape, colour, pick(rng, SIZES))
        for cell, (shape, colour) in zip(cells, pairs, strict=True)
    ]
    return still(things)


def sample_edit(rng: Rng, scene: Scene, *, new: bool = False) -> Edit:
    """Draw a change of a picture that keeps one to three distinct things.

    Args:
        rng: Where the randomness comes from.
        scene: The picture.
        new: Whether held-out pairs may come of it; the result then has at least one.
    """
    while True:
        edit = _propose(rng, scene)
        after = edit.apply(scene)
        cells = {thing.cell for thing in after.things}
        pairs = {thing.pair for thing in after.things}
        whole = 1 <= len(after.things) <= 3 and len(cells) == len(pairs) == len(after.things)
        if whole and after != scene and bool(pairs & NEW_PAIRS) == new:
            return edit


def _propose(rng: Rng, scene: Scene) -> Edit:
    before = pick(rng, scene.things)
    match pick(rng, ("colour", "size", "cell", "shape", "remove", "add")):
        case "colour":
            return Edit(before, replace(before, colour=pick(rng, COLOURS)))
        case "size":
            return Edit(before, replace(before, size=pick(rng, SIZES)))
        case "cell":
            return Edit(before, replace(before, cell=pick(rng, CELLS)))
        case "shape":
            return Edit(before, replace(before, shape=pick(rng, SHAPES)))
        case "remove":
            return Edit(before, None)
        case _:
            shape, colour = pick(rng, PAIRS)
            return Edit(None, Thing(pick(rng, CELLS), shape, colour, pick(rng, SIZES)))


@lru_cache(maxsize=16)
def stories(scene: Scene, mover: Thing) -> tuple[Scene, ...]:
    """Every clip that begins with a picture: each one or two motions that can befall the mover."""
    singles = [Motion(kind, to) for kind in KINDS for to in _TARGETS.get(kind, ("",))]
    begun = [first for first in singles if is_possible(scene.things, mover, (first,))]
    doubles = [(first, second) for first in begun for second in singles]
    possible = [pair for pair in doubles if is_possible(scene.things, mover, pair)]
    told = [*((first,) for first in begun), *possible]
    return tuple(Scene(scene.things, mover, motions) for motions in told)


@lru_cache(maxsize=16)
def _allowed(
    scene: Scene, mover: Thing, new: bool, held_out: bool | None
) -> dict[tuple[str, ...], list[Scene]]:
    """The clips by the kinds of their motions, kinds in a fixed order."""
    found: dict[tuple[str, ...], list[Scene]] = {}
    for clip in stories(scene, mover):
        fits = held_out is None or (clip.sequence in NEW_SEQUENCES) == held_out
        if fits and (new or not clip.pairs & NEW_PAIRS):
            found.setdefault(clip.sequence, []).append(clip)
    return dict(sorted(found.items()))


def pick_story(
    rng: Rng, scene: Scene, mover: Thing, *, new: bool = False, held_out: bool | None = None
) -> Scene:
    """Make a clip of a picture by giving one thing a story.

    Kinds of motion are drawn first and their directions and colours second, so that the many
    colours do not crowd out the rest.

    Args:
        rng: Where the randomness comes from.
        scene: The picture it begins with.
        mover: The thing that it happens to.
        new: Whether held-out pairs may appear (by a change of colour).
        held_out: Whether the order of motions is a held-out one; None leaves that to chance.
    """
    length = 1 if not held_out and rng.random() < ONE_MOTION else 2
    by_kinds = _allowed(scene, mover, new, held_out)
    kinds = pick(rng, [kinds for kinds in by_kinds if len(kinds) == length])
    return pick(rng, by_kinds[kinds])
