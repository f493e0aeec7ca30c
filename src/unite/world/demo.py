"""A small mixed library of unseen scenes with six searches, for a first look at a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unite.world.captions import edit_text, fine, story_edit_text
from unite.world.families import Medium
from unite.world.galleries import FreshScenes
from unite.world.pairs import instruct, side
from unite.world.sampling import Rng, pick, pick_story, rng_for
from unite.world.scenes import Edit, Scene, still

STORIES = 4
"""Things that have several clips, so that only what happens tells these apart."""
VARIANTS = 3
PICTURES = 14
NOTES = 14


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo: files to draw, notes to write, and the searches.

    Attributes:
        media: Pictures and clips, among them the queries' own.
        notes: Path to text.
        queries: What ``demo/queries.json`` holds.
    """

    media: list[Medium]
    notes: dict[str, str]
    queries: list[dict[str, Any]]


class DemoMaker:
    """Draws the demo's scenes and searches.

    Args:
        seed: The world's seed.
        used: Ids of all stills that are taken.
    """

    def __init__(self, seed: int, used: set[str]) -> None:
        self.rng: Rng = rng_for(seed, "demo")
        self.fresh = FreshScenes(self.rng, used)
        self.names: set[str] = set()

    def make(self) -> Demo:
        """Draw it all."""
        named: set[str] = set()
        stories = [self._story(self.fresh.still(named)) for _ in range(STORIES)]
        base = self.fresh.still(named)
        edit = self.fresh.edit(base)
        scenes = [base, edit.apply(base)]
        scenes += [self.fresh.still(named) for _ in range(PICTURES - len(scenes))]
        pictures = [self._file(scene) for scene in scenes]
        clips = [clip for story in stories for clip in story]
        told = [*pictures[2:10], *(story[0] for story in stories), *(s[1] for s in stories[:2])]
        notes = {_note(medium): fine(medium.scene, self.rng) for medium in told[:NOTES]}
        queries, asked = self._searches(pictures, stories, edit)
        return Demo([*pictures, *clips, *asked], notes, queries)

    def _story(self, base: Scene) -> list[Medium]:
        mover = pick(self.rng, base.things)
        scenes: list[Scene] = []
        while len(scenes) < VARIANTS:
            clip = pick_story(self.rng, base, mover, held_out=False)
            if clip not in scenes:
                scenes.append(clip)
        return [self._file(scene) for scene in scenes]

    def _file(self, scene: Scene) -> Medium:
        words = [f"{thing.colour} {thing.shape}" for thing in scene.things]
        if scene.mover is not None:
            words += ["the", scene.mover.shape, *(motion.id for motion in scene.motions)]
        ending = "png" if scene.mover is None else "mp4"
        name = "-".join(" ".join(words).split())
        while f"{name}.{ending}" in self.names:
            name += "-again"
        self.names.add(f"{name}.{ending}")
        return Medium(f"demo/library/{name}.{ending}", scene)

    def _searches(
        self, pictures: list[Medium], stories: list[list[Medium]], edit: Edit
    ) -> tuple[list[dict[str, Any]], list[Medium]]:
        """Six searches, and the files that three of them ask with."""
        start, told, retold = stories[0], stories[2][0], stories[1]
        frame = Medium("demo/queries/still.png", still(start[0].scene.things))
        picture = Medium("demo/queries/picture.png", pictures[0].scene)
        clip = Medium("demo/queries/clip.mp4", retold[0].scene)
        change = edit_text(edit, self.rng)
        story = story_edit_text(clip.scene, retold[1].scene, self.rng)
        edited = self._asked("it2i_edit", picture, change)
        other = self._asked("vt2v", clip, story)
        both = [_note(pictures[2]), pictures[2].path]
        begun = [medium.path for medium in start]
        rows = [
            _search("words find everything", self._told(pictures[2]), "", both),
            _search("words find a picture", self._told(pictures[10]), "image", [pictures[10].path]),
            _search("words find what happens in a clip", self._told(told), "video", [told.path]),
            _search("a picture finds clips that begin like it", side(frame, up=""), "video", begun),
            _search("a picture and a change", edited, "image", [pictures[1].path]),
            _search("a clip and a change", other, "video", [retold[1].path]),
        ]
        return rows, [frame, picture, clip]

    def _told(self, medium: Medium) -> dict[str, Any]:
        return side(text=fine(medium.scene, self.rng))

    def _asked(self, task: str, medium: Medium, text: str) -> dict[str, Any]:
        return side(medium, text, instruct(task, self.rng), up="")


def _search(title: str, item: dict[str, Any], only: str, expect: list[str]) -> dict[str, Any]:
    """One entry of ``demo/queries.json``, whose paths are relative to ``demo``."""
    local = {key: value.removeprefix("demo/") for key, value in item.items()}
    row: dict[str, Any] = {"title": title, "item": local}
    if only:
        row["only"] = [only]
    return {**row, "expect": [path.removeprefix("demo/") for path in expect]}


def _note(medium: Medium) -> str:
    kind = "clip" if medium.path.endswith(".mp4") else "picture"
    return f"{medium.path[:-4]}-{kind}.txt"
