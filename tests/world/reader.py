"""Reads the world's texts back into meaning, without a word of the code that wrote them.

What a reader can solve symbolically, a model can learn: the texts are true and say enough.
"""

from __future__ import annotations

import re
from dataclasses import replace

from unite.world.scenes import Edit, Motion, Scene, Thing, still

SAME = {
    "disc": "circle",
    "plus": "cross",
    "hoop": "ring",
    "scarlet": "red",
    "golden": "yellow",
    "emerald": "green",
    "azure": "blue",
    "little": "small",
    "big": "large",
    "upper": "top",
    "lower": "bottom",
    "centre": "middle",
    "goes": "moves",
    "flashes": "blinks",
    "becomes": "turns",
    "disappears": "vanishes",
}
ROWS = ["top", "middle", "bottom"]
COLUMNS = ["left", "centre", "right"]
SIZE = "small|large"
COLOUR = "red|orange|yellow|green|cyan|blue|pink|white"
SHAPE = "circle|square|triangle|diamond|cross|ring|star|bar"
PLACE = "top left|top right|bottom left|bottom right|top|left|middle|right|bottom"
AT = f"(?:in|at|on) the ({PLACE})"
THING = re.compile(rf"({SIZE}) ({COLOUR}) ({SHAPE}) {AT}")
PAIR = re.compile(rf"({COLOUR}) ({SHAPE})")
MOTION = re.compile(
    rf"moves (?:left|right|up|down)|turns (?:{COLOUR})|blinks|vanishes|grows|shrinks"
)


def plain(text: str) -> str:
    """The text with one word for each idea."""
    text = text.replace("gets larger", "grows").replace("gets smaller", "shrinks")
    return " ".join(SAME.get(word, word) for word in text.replace(",", " ,").split())


def cell(words: str) -> int:
    row = next((i for i, name in enumerate(ROWS) if name in words.split()), 1)
    column = next((i for i, name in enumerate(COLUMNS) if name in words.split()), 1)
    return row * 3 + column


def thing(size: str, colour: str, shape: str, place: str) -> Thing:
    return Thing(cell(place), shape, colour, size)


def read_motions(text: str) -> tuple[Motion, ...]:
    return tuple(Motion(*found.split()) for found in MOTION.findall(plain(text)))


def read_fine(text: str) -> Scene:
    """A fine caption or a question for a page."""
    text = plain(text)
    found = [(match.end(), thing(*match.groups())) for match in THING.finditer(text)]
    motions = read_motions(text)
    scene = still(each for _, each in found)
    if not motions:
        return scene
    begins = MOTION.search(text)
    assert begins is not None
    mover = max((end, each) for end, each in found if end < begins.start())[1]
    return Scene(scene.things, mover, motions)


def read_coarse(text: str) -> list[tuple[str, str]]:
    return sorted(PAIR.findall(plain(text)))


def named(scene: Scene, text: str) -> Thing:
    """The one thing of a scene that some words point at."""
    text = plain(text)
    where = re.search(AT, text)
    asked = {
        "colour": re.search(rf"\b({COLOUR})\b", text),
        "shape": re.search(rf"\b({SHAPE})\b", text),
    }
    fits = [
        each
        for each in scene.things
        if all(getattr(each, key) == match[1] for key, match in asked.items() if match)
        and (where is None or cell(where[1]) == each.cell)
    ]
    assert len(fits) == 1, (text, scene)
    return fits[0]


def read_edit(scene: Scene, text: str) -> Scene:
    """The scene after the change that some words ask for."""
    text = plain(text)
    added = THING.search(text)
    if added:
        return Edit(None, thing(*added.groups())).apply(scene)
    pair = PAIR.search(text)
    assert pair is not None, text
    before = named(scene, pair[0])
    rest = text[pair.end() :]
    where = re.search(AT, rest)
    if text.startswith(("remove", "take away")):
        return Edit(before, None).apply(scene)
    if where:
        return Edit(before, replace(before, cell=cell(where[1]))).apply(scene)
    into = re.search(rf"into an? ({SHAPE})", rest)
    if into:
        return Edit(before, replace(before, shape=into[1])).apply(scene)
    new = rest.split()[-1]
    field = "size" if re.fullmatch(SIZE, new) else "colour"
    return Edit(before, replace(before, **{field: new})).apply(scene)


def read_story_edit(clip: Scene, text: str) -> Scene:
    if "other order" in text:
        return clip.reversed
    return replace(clip, motions=read_motions(text))


def is_answer(text: str, truth: Thing) -> bool:
    """Whether an answer says all of a thing and nothing else."""
    words = plain(text)
    where = re.search(AT, words)
    said = set(re.findall(rf"\b({SIZE}|{COLOUR}|{SHAPE})\b", words))
    return (
        where is not None
        and cell(where[1]) == truth.cell
        and said == {truth.size, truth.colour, truth.shape}
    )
