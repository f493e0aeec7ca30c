from __future__ import annotations

from itertools import combinations

import pytest

from unite.errors import DataError
from unite.world.build import Plan
from unite.world.families import Medium
from unite.world.galleries import GROUP, SPLITS, FreshScenes, Gallery, GalleryMaker
from unite.world.sampling import rng_for, sample_still
from unite.world.scenes import NEW_PAIRS, NEW_SEQUENCES

COUNT = 40


@pytest.fixture(scope="module", params=SPLITS)
def gallery(request: pytest.FixtureRequest) -> Gallery:
    return GalleryMaker(request.param, 2, set()).make(COUNT)


def media(gallery: Gallery) -> list[Medium]:
    stills = [medium for family in gallery.images for medium in family.images]
    families = (*gallery.clips, *gallery.orders)
    return stills + [clip for family in families for clip in family.clips]


def test_a_gallery_has_the_asked_size(gallery: Gallery) -> None:
    assert len(gallery.images) == len(gallery.clips) == COUNT
    assert sum(len(group.clips) for group in gallery.orders) == COUNT
    assert GalleryMaker(gallery.split, 2, set()).make(COUNT) == gallery


def test_every_scene_belongs_to_its_split(gallery: Gallery) -> None:
    if gallery.split == "seen_combinations":
        assert all(medium.scene.is_seen for medium in media(gallery))
        return
    stills = [medium for family in gallery.images for medium in family.images]
    clips = [clip for family in gallery.clips for clip in family.clips]
    assert all(medium.scene.pairs & NEW_PAIRS for medium in (*stills, *clips))


def test_temporal_groups_share_all_but_the_story(gallery: Gallery) -> None:
    for group in gallery.orders:
        scenes = [clip.scene for clip in group.clips]
        assert len(scenes) == GROUP
        assert len({(scene.things, scene.mover) for scene in scenes}) == 1
        assert len({scene.motions for scene in scenes}) == GROUP
        assert not any(scene.pairs & NEW_PAIRS for scene in scenes)


def test_temporal_groups_ask_for_the_order(gallery: Gallery) -> None:
    turned = [
        any(a.scene.motions == b.scene.motions[::-1] for a, b in combinations(group.clips, 2))
        for group in gallery.orders
    ]
    assert sum(turned) > 0.5 * len(turned)
    if gallery.split == "new_combinations":
        for group in gallery.orders:
            held_out = [clip.scene.sequence in NEW_SEQUENCES for clip in group.clips]
            assert sum(held_out) >= 2
            assert not all(held_out)


def test_no_two_families_share_a_still(gallery: Gallery) -> None:
    families = [family.images for family in gallery.images]
    families += [family.clips for family in (*gallery.clips, *gallery.orders)]
    found = [still for each in families for still in {medium.scene.still_id for medium in each}]
    assert len(set(found)) == len(found)


def test_a_coarse_caption_has_one_answer(gallery: Gallery) -> None:
    for families in (
        [family.images[0] for family in gallery.images],
        [family.clips[0] for family in gallery.clips],
    ):
        assert len({medium.scene.coarse_id for medium in families}) == COUNT


def test_nothing_of_the_evaluation_occurs_in_training(wide_plan: Plan) -> None:
    def stills(prefix: str) -> set[str]:
        return {
            medium.scene.still_id
            for medium in wide_plan.media
            if medium.path.split("/")[1].startswith(prefix)
        }

    train, seen, new, demo = (
        stills("train-"),
        stills("seen-"),
        stills("new-"),
        {m.scene.still_id for m in wide_plan.media if m.path.startswith("demo/")},
    )
    assert min(map(len, (train, seen, new, demo))) > 0
    assert not train & (seen | new | demo)
    assert not seen & new
    assert not demo & (seen | new)


def test_fresh_scenes_are_never_drawn_twice() -> None:
    used: set[str] = set()
    fresh = FreshScenes(rng_for(0, "fresh"), used)
    drawn = [fresh.still(set()) for _ in range(200)]
    drawn += [fresh.edit(scene).apply(scene) for scene in drawn]
    assert len({scene.still_id for scene in drawn}) == len(drawn) == len(used)


def test_a_world_without_fresh_scenes_says_so() -> None:
    class Everything(set[str]):
        def __contains__(self, key: object) -> bool:
            return True

    with pytest.raises(DataError, match="smaller world"):
        FreshScenes(rng_for(0, "none"), Everything()).still(set())


def test_coarse_meanings_repeat_only_when_they_must() -> None:
    rng = rng_for(1, "named")
    named = {sample_still(rng).coarse_id for _ in range(300)}
    before = set(named)
    scene = FreshScenes(rng, set()).still(named)
    assert scene.coarse_id not in before
    assert scene.coarse_id in named
