"""What is said about scenes: captions, edits, questions and instructions, in 113 words.

Every wording is drawn from the generator that is passed; the meaning never depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unite.world.sampling import Rng, pick, shuffled
from unite.world.scenes import Edit, Motion, Scene, Thing

SHAPE_WORDS = {"circle": "disc", "cross": "plus", "ring": "hoop"}
COLOUR_WORDS = {"red": "scarlet", "yellow": "golden", "green": "emerald", "blue": "azure"}
SIZE_WORDS = {"small": "little", "large": "big"}
RARE, COMMON = 0.1, 0.25
"""How often a rarer word for a shape or colour, and for a size, is used."""

PLACES = (
    ("in the top left", "in the upper left"),
    ("at the top",),
    ("in the top right", "in the upper right"),
    ("on the left",),
    ("in the middle", "in the centre"),
    ("on the right",),
    ("in the bottom left", "in the lower left"),
    ("at the bottom",),
    ("in the bottom right", "in the lower right"),
)
STILL_OPENINGS = ("", "", "a picture of ", "an image with ", "there is ", "here we see ")
CLIP_OPENINGS = ("", "", "a clip of ", "a video with ", "there is ", "here we see ")

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "i2i": ("find a picture of the same scene:", "find another image with the same things:"),
    "t2i": ("find the picture for this caption:", "find an image that shows this:"),
    "i2t": ("find the caption of this picture:", "find the words for this image:"),
    "v2t": ("find the caption of this clip:", "find the words for this video:"),
    "t2v": ("find the clip for this caption:", "find a video that shows this:"),
    "t2ti": ("find the page that answers this question:", "find the page with this scene:"),
    "it2t": ("answer the question about this picture:", "answer with this image:"),
    "it2i_edit": ("find the picture after this change:", "find the changed image:"),
    "it2i_crop": ("find the part of the picture:", "find the part of this image that shows:"),
    "vt2v": ("find the clip after this change:", "find the changed video:"),
}
"""Wordings of the instruction that each stage-2 task gives its queries."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one thing of a picture; the answer tells all of that thing."""

    text: str
    answer: str
    thing: Thing


def reworded(write: Callable[[Rng], str], rng: Rng, other: str) -> str:
    """Draw wordings until one differs from the other text."""
    while (text := write(rng)) == other:
        pass
    return text


def coarse(scene: Scene, rng: Rng) -> str:
    """Colours and shapes of all things, as they are at the start of a clip."""
    names = [_with_article(name(thing, rng)) for thing in shuffled(rng, scene.things)]
    return _opening(scene, rng) + listed(names)


def fine(scene: Scene, rng: Rng) -> str:
    """Everything: sizes, places and, of a clip, what happens in order."""
    if scene.mover is None:
        things = [described(thing, rng) for thing in shuffled(rng, scene.things)]
        return _opening(scene, rng) + listed(things)
    others = [thing for thing in shuffled(rng, scene.things) if thing != scene.mover]
    subject, story = described(scene.mover, rng), told(scene.motions, rng)
    if not others:
        return f"{subject} {story}"
    rest = listed([described(thing, rng) for thing in others])
    if rng.random() < 0.5:
        return f"{subject} {story} while there is {rest}"
    return f"beside {rest} {subject} {story}"


def told(motions: Sequence[Motion], rng: Rng) -> str:
    """What happens, in order: ``moves left and then grows``."""
    words = [_motion(motion, rng) for motion in motions]
    if len(words) == 1:
        return words[0]
    first, second = words
    return pick(
        rng,
        (
            f"{first} and then {second}",
            f"first {first} and then {second}",
            f"{first} then {second}",
        ),
    )


def _motion(motion: Motion, rng: Rng) -> str:
    ways = {
        "moves": ("moves", "moves", "goes"),
        "grows": ("grows", "grows", "gets larger"),
        "shrinks": ("shrinks", "shrinks", "gets smaller"),
        "blinks": ("blinks", "blinks", "flashes"),
        "turns": ("turns", "turns", "becomes"),
        "vanishes": ("vanishes", "vanishes", "disappears"),
    }
    return f"{pick(rng, ways[motion.kind])} {motion.to}".rstrip()


def name(thing: Thing, rng: Rng) -> str:
    """Colour and shape: ``red circle``."""
    colour = _worded(thing.colour, COLOUR_WORDS, RARE, rng)
    return f"{colour} {_worded(thing.shape, SHAPE_WORDS, RARE, rng)}"


def sized(thing: Thing, rng: Rng) -> str:
    """Size, colour and shape: ``small red circle``."""
    return f"{_worded(thing.size, SIZE_WORDS, COMMON, rng)} {name(thing, rng)}"


def described(thing: Thing, rng: Rng) -> str:
    """All of a thing: ``a small red circle in the top left``."""
    return f"{_with_article(sized(thing, rng))} {place(thing.cell, rng)}"


def place(cell: int, rng: Rng) -> str:
    """Where a cell is: ``in the top left``."""
    ways = PLACES[cell]
    return ways[0] if len(ways) == 1 or rng.random() >= COMMON else ways[1]


def listed(parts: Sequence[str]) -> str:
    """Join as people do: ``x, y and z``."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _opening(scene: Scene, rng: Rng) -> str:
    return pick(rng, CLIP_OPENINGS if scene.mover else STILL_OPENINGS)


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _worded(word: str, others: dict[str, str], share: float, rng: Rng) -> str:
    return others.get(word, word) if rng.random() < share else word


def edit_text(edit: Edit, rng: Rng) -> str:
    """Say a change of a picture: ``make the red circle blue``.

    Raises:
        ValueError: The change is none: nothing before and nothing after.
    """
    before, after = edit.before, edit.after
    if after is None and before is not None:
        return f"{pick(rng, ('remove', 'take away'))} the {name(before, rng)}"
    if after is None:
        raise ValueError("an edit needs a thing before or after")
    if before is None:
        return f"{pick(rng, ('add', 'put'))} {described(after, rng)}"
    subject = f"the {name(before, rng)}"
    if before.cell != after.cell:
        return f"{pick(rng, ('move', 'put'))} {subject} {place(after.cell, rng)}"
    if before.shape != after.shape:
        return f"{pick(rng, ('turn', 'change'))} {subject} into {_with_article(after.shape)}"
    changed = after.colour if before.colour != after.colour else after.size
    return f"make {subject} {changed}"


def story_edit_text(before: Scene, after: Scene, rng: Rng) -> str:
    """Say what happens in a clip instead: ``now it moves left and then grows``."""
    turned_round = len(after.motions) == 2 and after.motions == before.motions[::-1]
    if turned_round and rng.random() < 0.5:
        return "the same but in the other order"
    return f"{pick(rng, ('now it', 'instead it', 'the same but it'))} {told(after.motions, rng)}"


def part_text(scene: Scene, thing: Thing, rng: Rng) -> str:
    """Point at one thing of a picture, by as little as tells it from the others."""
    ways = [f"the {name(thing, rng)}", f"the thing {place(thing.cell, rng)}"]
    if _alone(scene, thing, "shape"):
        ways.append(f"the {thing.shape}")
    if _alone(scene, thing, "colour"):
        ways.append(f"the {thing.colour} thing")
    return pick(rng, ways)


def question(scene: Scene, thing: Thing, rng: Rng) -> Question:
    """Ask for what the question does not say of one thing; the answer says all of it."""
    where = place(thing.cell, rng)
    size = thing.size
    ways = [
        (
            f"where is the {name(thing, rng)} ?",
            f"the {size} {thing.colour} {thing.shape} is {where}",
        ),
        (
            f"what is {where} ?",
            f"{_with_article(f'{size} {thing.colour} {thing.shape}')} is {where}",
        ),
        (
            f"how big is the {name(thing, rng)} ?",
            f"the {thing.colour} {thing.shape} {where} is {size}",
        ),
    ]
    if _alone(scene, thing, "shape"):
        ways.append(
            (
                f"what colour is the {thing.shape} ?",
                f"the {size} {thing.shape} {where} is {thing.colour}",
            )
        )
    if _alone(scene, thing, "colour"):
        ways.append(
            (f"what is {thing.colour} ?", f"the {size} {thing.shape} {where} is {thing.colour}")
        )
    text, answer = pick(rng, ways)
    return Question(text, answer, thing)


def page_question(scene: Scene, rng: Rng) -> str:
    """Ask for a page with a picture by all that the picture shows."""
    things = listed([described(thing, rng) for thing in shuffled(rng, scene.things)])
    return pick(rng, (f"where is there {things} ?", f"which page shows {things} ?"))


def _alone(scene: Scene, thing: Thing, field: str) -> bool:
    values = [getattr(each, field) for each in scene.things]
    return values.count(getattr(thing, field)) == 1
