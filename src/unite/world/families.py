"""Which pictures and clips a world has: families of a base and its edited relations.

A family is what composed retrieval is made of: a picture, the same scene looking otherwise, and
the scene after one change; or clips that share all things and differ in what happens.
"""

from __future__ import annotations

from dataclasses import dataclass

from unite.world.sampling import Rng, pick, pick_story, rng_for, sample_edit, sample_still
from unite.world.scenes import Edit, Scene, Thing

FAMILY = 4
"""Pictures of one family in training, and clips of one."""


@dataclass(frozen=True, slots=True)
class Medium:
    """One file to draw.

    Attributes:
        path: Where it lies, relative to the world: ``images/train-000012.png``.
        scene: What it shows.
        crop: The thing that it is a cut-out of, or None for a whole scene.
        look: The name its look is drawn by; a cut-out has its picture's.
    """

    path: str
    scene: Scene
    crop: Thing | None = None
    look: str = ""

    @property
    def content_id(self) -> str:
        """Equal for media of equal meaning; a cut-out's place cannot be seen in it."""
        if self.crop is None:
            return self.scene.fine_id
        return f"part {self.crop.size} {self.crop.colour} {self.crop.shape}"

    @property
    def coarse_id(self) -> str:
        """The meaning of a coarse caption that is true of it."""
        if self.crop is None:
            return self.scene.coarse_id
        return f"{self.crop.colour} {self.crop.shape}"


@dataclass(frozen=True, slots=True)
class Change:
    """A picture before and after one edit."""

    before: Medium
    edit: Edit
    after: Medium


@dataclass(frozen=True, slots=True)
class ImageFamily:
    """Pictures around one scene.

    Attributes:
        images: The base, then its relations, as many as the world's size leaves.
        twins: Pictures of equal meaning and another look.
        changes: Edits from one picture to another.
        crops: A picture and the cut-out of one of its things.
    """

    images: tuple[Medium, ...]
    twins: tuple[tuple[Medium, Medium], ...]
    changes: tuple[Change, ...]
    crops: tuple[tuple[Medium, Medium], ...]


@dataclass(frozen=True, slots=True)
class ClipFamily:
    """Clips of the same things; the same one of them is moved, each time otherwise."""

    clips: tuple[Medium, ...]


def train_image_families(size: int, seed: int) -> list[ImageFamily]:
    """Families whose pictures are ``size`` in number."""
    starts = range(0, size, FAMILY)
    return [_train_images(seed, start, min(FAMILY, size - start)) for start in starts]


def train_clip_families(size: int, seed: int) -> list[ClipFamily]:
    """Families whose clips are ``size`` in number."""
    starts = range(0, size, FAMILY)
    return [_train_clips(seed, start, min(FAMILY, size - start)) for start in starts]


def _train_images(seed: int, start: int, count: int) -> ImageFamily:
    rng = rng_for(seed, f"train image family {start}")
    base = sample_still(rng)
    edits = [sample_edit(rng, base), sample_edit(rng, base)]
    scenes = [base, edits[0].apply(base), base, edits[1].apply(base)]
    paths = [f"images/train-{start + i:06d}.png" for i in range(count)]
    images = tuple(Medium(path, scene) for path, scene in zip(paths, scenes, strict=False))
    ways = [(0, edits[0], 1), (1, edits[0].inverse, 0), (2, edits[1], 3), (3, edits[1].inverse, 2)]
    return ImageFamily(
        images,
        twins=((images[0], images[2]), (images[2], images[0])) if count > 2 else (),
        changes=tuple(
            Change(images[i], edit, images[j]) for i, edit, j in ways if max(i, j) < count
        ),
        crops=tuple((image, cut_out(image, rng)) for image in images[:2]),
    )


def cut_out(image: Medium, rng: Rng) -> Medium:
    """A cut-out of one thing of a picture."""
    path = image.path.replace(".png", "-part.png")
    return Medium(path, image.scene, pick(rng, image.scene.things), look=image.path)


def _train_clips(seed: int, start: int, count: int) -> ClipFamily:
    rng = rng_for(seed, f"train clip family {start}")
    base = sample_still(rng)
    mover = pick(rng, base.things)
    scenes = [pick_story(rng, base, mover, held_out=False)]
    turned = scenes[0].reversed
    if turned != scenes[0] and turned.is_seen and turned.is_possible:
        scenes.append(turned)
    while len(scenes) < count:
        clip = pick_story(rng, base, mover, held_out=False)
        if clip not in scenes:
            scenes.append(clip)
    paths = [f"videos/train-{start + i:06d}.mp4" for i in range(count)]
    return ClipFamily(tuple(Medium(p, s) for p, s in zip(paths, scenes, strict=False)))
