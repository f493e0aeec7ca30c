"""The evaluation scenes: drawn after training's, sharing none of them and none of each other."""

from __future__ import annotations

from dataclasses import dataclass

from unite.errors import DataError
from unite.world.families import Change, ClipFamily, ImageFamily, Medium, cut_out
from unite.world.sampling import Rng, pick, pick_story, rng_for, sample_edit, sample_still, stories
from unite.world.scenes import NEW_SEQUENCES, Edit, Scene, Thing

GROUP = 5
"""Clips of one temporal group."""
TRIES = 10_000
SPLITS = ("seen_combinations", "new_combinations")


@dataclass(frozen=True, slots=True)
class Gallery:
    """The evaluation scenes of one split; nothing of them occurs in training.

    Attributes:
        split: Its name, one of ``SPLITS``.
        images: One family of base, twin and edited picture with a cut-out, for each query.
        clips: Pairs of clips that differ in what happens.
        orders: Groups of clips that share all things and differ in what happens and its order.
    """

    split: str
    images: tuple[ImageFamily, ...]
    clips: tuple[ClipFamily, ...]
    orders: tuple[ClipFamily, ...]


class FreshScenes:
    """Draws stills that nobody has drawn before.

    Args:
        rng: Where the randomness comes from.
        used: Ids of all stills that are taken; grows with every draw.
    """

    def __init__(self, rng: Rng, used: set[str]) -> None:
        self.rng, self.used = rng, used

    def still(self, named: set[str], *, new: bool = False) -> Scene:
        """Draw a picture.

        Args:
            named: Coarse meanings to avoid as long as there are others; grows.
            new: Give it a held-out pair; otherwise it has none.

        Raises:
            DataError: The world is so large that nothing fresh is found.
        """
        for attempt in range(TRIES):
            scene = sample_still(self.rng, new=new)
            alone = attempt > TRIES // 2 or scene.coarse_id not in named
            if scene.still_id not in self.used and alone:
                self.used.add(scene.still_id)
                named.add(scene.coarse_id)
                return scene
        raise DataError(f"No fresh scene in {TRIES} draws.", "Make a smaller world.")

    def edit(self, scene: Scene, *, new: bool = False) -> Edit:
        """Draw an edit that leads to a fresh still."""
        while True:
            edit = sample_edit(self.rng, scene, new=new)
            edited = edit.apply(scene).still_id
            if edited not in self.used:
                self.used.add(edited)
                return edit


class GalleryMaker:
    """Draws the evaluation scenes of one split.

    Args:
        split: Its name, one of ``SPLITS``.
        seed: The world's seed.
        used: Ids of all stills that are taken; grows with every draw.
    """

    def __init__(self, split: str, seed: int, used: set[str]) -> None:
        self.split = split
        self.new = split == "new_combinations"
        self.rng = rng_for(seed, f"gallery {split}")
        self.fresh = FreshScenes(self.rng, used)

    def make(self, count: int) -> Gallery:
        """Draw ``count`` picture families, as many clip pairs, and the temporal groups."""
        named: set[str] = set()
        images = tuple(self._images(i, named) for i in range(count))
        named = set()
        clips = tuple(self._clips(i, named) for i in range(count))
        orders = tuple(self._order(i) for i in range(count // GROUP))
        return Gallery(self.split, images, clips, orders)

    def _name(self, rest: str) -> str:
        return f"{self.split.split('_')[0]}-{rest}"

    def _images(self, number: int, named: set[str]) -> ImageFamily:
        base = self.fresh.still(named, new=self.new)
        edit = self.fresh.edit(base, new=self.new)
        stem = f"images/{self._name(f'{number:04d}')}"
        image, twin = Medium(f"{stem}.png", base), Medium(f"{stem}-same.png", base)
        after = Medium(f"{stem}-edited.png", edit.apply(base))
        return ImageFamily(
            images=(image, twin, after),
            twins=((image, twin),),
            changes=(Change(image, edit, after),),
            crops=((image, cut_out(image, self.rng)),),
        )

    def _clips(self, number: int, named: set[str]) -> ClipFamily:
        base = self.fresh.still(named, new=self.new)
        mover = pick(self.rng, base.things)
        held_out = None if self.new else False
        scenes: dict[Scene, None] = {}
        while len(scenes) < 2:
            scenes[pick_story(self.rng, base, mover, new=self.new, held_out=held_out)] = None
        stem = f"videos/{self._name(f'{number:04d}')}"
        first, second = scenes
        return ClipFamily((Medium(f"{stem}.mp4", first), Medium(f"{stem}-edited.mp4", second)))

    def _order(self, number: int) -> ClipFamily:
        """A group in which most clips have their own motions in the other order beside them."""
        base = self.fresh.still(set())
        mover = pick(self.rng, [thing for thing in base.things if _can_move(base, thing)])
        scenes: dict[Scene, None] = {}
        while len(scenes) < GROUP:
            clip = pick_story(self.rng, base, mover, held_out=self.new)
            scenes[clip] = None
            turned = clip.reversed
            if turned.is_possible and (self.new or turned.sequence not in NEW_SEQUENCES):
                scenes[turned] = None
        stem = f"videos/{self._name(f'order-{number:02d}')}"
        group = list(scenes)[:GROUP]
        return ClipFamily(tuple(Medium(f"{stem}-{i}.mp4", each) for i, each in enumerate(group)))


def _can_move(scene: Scene, mover: Thing) -> bool:
    # A small thing shut in a corner has fewer than five held-out stories.
    return any(clip.motions[0].kind == "moves" for clip in stories(scene, mover))
