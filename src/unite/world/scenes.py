"""What can be in the small world: things in cells, motions in order, edits, and their ids.

A scene is its meaning alone; how it looks (jitter, background, noise, timing) is drawn in render.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring", "star", "bar")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "pink", "white")
SIZES = ("small", "large")
CELLS = range(9)
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
KINDS = ("moves", "grows", "shrinks", "blinks", "turns", "vanishes")

NEW_PAIRS = frozenset((s, COLOURS[(3 * i + 1) % 8]) for i, s in enumerate(SHAPES))
"""Shape-colour pairs that training never shows: each shape once, each colour once."""
NEW_SEQUENCES = frozenset(
    [
        ("moves", "turns"),
        ("grows", "blinks"),
        ("blinks", "moves"),
        ("turns", "shrinks"),
        ("shrinks", "moves"),
    ]
)
"""Ordered motions that training never shows; it does show each of them in the other order."""
PAIRS = tuple((s, c) for s in SHAPES for c in COLOURS)
SEEN_PAIRS = tuple(pair for pair in PAIRS if pair not in NEW_PAIRS)


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One object: ``cell`` counts the 3 x 3 grid row by row from the top left."""

    cell: int
    shape: str
    colour: str
    size: str

    @property
    def pair(self) -> tuple[str, str]:
        """The shape-colour pair that the compositional split is made of."""
        return self.shape, self.colour

    @property
    def id(self) -> str:
        """Equal for equal things, and only for them."""
        return f"{self.size} {self.colour} {self.shape} @{self.cell}"


@dataclass(frozen=True, slots=True)
class Motion:
    """One thing that happens: its kind, and the direction or the new colour if it needs one."""

    kind: str
    to: str = ""

    @property
    def id(self) -> str:
        """Equal for equal motions, and only for them."""
        return f"{self.kind} {self.to}".rstrip()


@dataclass(frozen=True, slots=True)
class Scene:
    """The meaning of a picture, or of a clip when it has motions.

    Attributes:
        things: One to three in cell order, in distinct cells, of distinct shape-colour pairs.
        mover: The thing that the motions befall, as it is at the start.
        motions: What befalls it, in order; empty for a picture.
    """

    things: tuple[Thing, ...]
    mover: Thing | None = None
    motions: tuple[Motion, ...] = ()

    @property
    def still_id(self) -> str:
        """The things and their places, without what happens."""
        return "; ".join(thing.id for thing in self.things)

    @property
    def fine_id(self) -> str:
        """The whole meaning."""
        if self.mover is None:
            return self.still_id
        story = ", ".join(motion.id for motion in self.motions)
        return f"{self.still_id} | @{self.mover.cell} {story}"

    @property
    def coarse_id(self) -> str:
        """Colours and shapes of all things; no sizes, places or motions."""
        return " + ".join(sorted(f"{thing.colour} {thing.shape}" for thing in self.things))

    @property
    def states(self) -> tuple[Thing | None, ...]:
        """The mover at the start and after each motion; None once it is gone."""
        return () if self.mover is None else tuple(_follow(self.mover, self.motions))

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every shape-colour pair that is ever to be seen."""
        shown = [*self.things, *(state for state in self.states if state is not None)]
        return frozenset(thing.pair for thing in shown)

    @property
    def sequence(self) -> tuple[str, ...]:
        """The kinds of its motions, in order."""
        return tuple(motion.kind for motion in self.motions)

    @property
    def reversed(self) -> Scene:
        """The same motions in the other order, whether that can be or not."""
        return Scene(self.things, self.mover, self.motions[::-1])

    @property
    def is_possible(self) -> bool:
        """Whether the motions can befall the mover, see ``is_possible``."""
        return self.mover is not None and is_possible(self.things, self.mover, self.motions)

    @property
    def is_seen(self) -> bool:
        """Whether training may show it: no held-out pair, no held-out sequence."""
        return not self.pairs & NEW_PAIRS and self.sequence not in NEW_SEQUENCES


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a picture: a thing before and after; None for nothing."""

    before: Thing | None
    after: Thing | None

    @property
    def inverse(self) -> Edit:
        """The change that undoes this one."""
        return Edit(self.after, self.before)

    def apply(self, scene: Scene) -> Scene:
        """The scene after the change."""
        kept = [thing for thing in scene.things if thing != self.before]
        return still([*kept, self.after] if self.after else kept)


def still(things: Iterable[Thing]) -> Scene:
    """A picture of these things."""
    return Scene(tuple(sorted(things)))


def is_possible(things: Sequence[Thing], mover: Thing, motions: Sequence[Motion]) -> bool:
    """Whether the motions can befall the mover among these things and each would show.

    A move needs a free cell on the canvas, only the small grow and only the large shrink, a new
    colour is new and makes no second thing of that kind, and nothing follows a vanishing.
    """
    others = [thing for thing in things if thing != mover]
    state: Thing | None = mover
    for previous, motion in zip([None, *motions], motions, strict=False):
        if state is None or not _befalls(state, motion, others):
            return False
        if previous is not None and _undoes(previous, motion):
            return False
        state = _after(state, motion)
    return True


def _befalls(thing: Thing, motion: Motion, others: Iterable[Thing]) -> bool:
    match motion.kind:
        case "moves":
            cell = neighbour(thing.cell, motion.to)
            return cell is not None and all(other.cell != cell for other in others)
        case "grows":
            return thing.size == "small"
        case "shrinks":
            return thing.size == "large"
        case "turns":
            taken = {other.pair for other in others}
            return motion.to != thing.colour and (thing.shape, motion.to) not in taken
        case _:
            return True


def _undoes(first: Motion, second: Motion) -> bool:
    # Two moves along one line, or two blinks, would not tell their order in four frames.
    if first.kind != second.kind:
        return False
    along = {"left": "x", "right": "x", "up": "y", "down": "y"}
    return first.kind == "blinks" or (first.kind == "moves" and along[first.to] == along[second.to])


def neighbour(cell: int, direction: str) -> int | None:
    """The next cell that way, or None beyond the canvas."""
    down, right = DIRECTIONS[direction]
    row, column = cell // 3 + down, cell % 3 + right
    return row * 3 + column if 0 <= row < 3 and 0 <= column < 3 else None


def _after(thing: Thing, motion: Motion) -> Thing | None:
    match motion.kind:
        case "moves":
            cell = neighbour(thing.cell, motion.to)
            return None if cell is None else replace(thing, cell=cell)
        case "grows":
            return replace(thing, size="large")
        case "shrinks":
            return replace(thing, size="small")
        case "turns":
            return replace(thing, colour=motion.to)
        case "vanishes":
            return None
        case _:
            return thing


def _follow(mover: Thing, motions: Iterable[Motion]) -> Iterator[Thing | None]:
    state: Thing | None = mover
    yield state
    for motion in motions:
        state = None if state is None else _after(state, motion)
        yield state
