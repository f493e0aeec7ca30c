from __future__ import annotations

from collections import Counter
from itertools import chain

from unite.world.build import Plan
from unite.world.families import FAMILY, Medium, train_clip_families, train_image_families
from unite.world.sampling import rng_for
from unite.world.scenes import NEW_SEQUENCES

from .reader import read_fine


def test_a_world_has_exactly_its_size() -> None:
    for size in (1, 2, 3, 4, 7, 16):
        images, clips = train_image_families(size, 0), train_clip_families(size, 0)
        assert sum(len(family.images) for family in images) == size
        assert sum(len(family.clips) for family in clips) == size


def test_a_larger_world_begins_with_the_smaller() -> None:
    assert train_image_families(16, 5)[:2] == train_image_families(8, 5)
    assert train_clip_families(16, 5)[:2] == train_clip_families(8, 5)


def test_another_seed_gives_another_world() -> None:
    assert train_image_families(8, 0) != train_image_families(8, 1)


def test_training_never_shows_a_held_out_combination(wide_plan: Plan) -> None:
    families = [*wide_plan.images]
    images = [medium for family in families for medium in family.images]
    crops = [crop for family in families for _, crop in family.crops]
    clips = [clip for family in wide_plan.clips for clip in family.clips]
    assert all(medium.scene.is_seen for medium in (*images, *crops, *clips))
    assert {clip.scene.sequence[::-1] for clip in clips} >= NEW_SEQUENCES


def test_every_change_leads_from_one_picture_to_another(wide_plan: Plan) -> None:
    for family in wide_plan.images:
        for change in family.changes:
            assert change.edit.apply(change.before.scene) == change.after.scene
            assert change.before.scene != change.after.scene
            assert {change.before, change.after} <= set(family.images)


def test_every_picture_is_in_an_edit_both_ways(wide_plan: Plan) -> None:
    changes = list(chain.from_iterable(family.changes for family in wide_plan.images))
    images = {image.path for family in wide_plan.images for image in family.images}
    assert Counter(change.before.path for change in changes) == Counter(images)
    assert Counter(change.after.path for change in changes) == Counter(images)


def test_twins_mean_the_same_and_look_otherwise(wide_plan: Plan) -> None:
    for family in wide_plan.images:
        for one, other in family.twins:
            assert one.content_id == other.content_id
            assert one.path != other.path


def test_crops_share_the_look_of_their_picture(wide_plan: Plan) -> None:
    for family in wide_plan.images:
        for image, crop in family.crops:
            assert crop.look == image.path
            assert crop.crop in image.scene.things
            assert crop.scene == image.scene


def test_clips_of_a_family_differ_in_their_story_alone(wide_plan: Plan) -> None:
    for family in wide_plan.clips:
        scenes = [clip.scene for clip in family.clips]
        assert len(scenes) == FAMILY
        assert len({(scene.things, scene.mover) for scene in scenes}) == 1
        assert len({scene.motions for scene in scenes}) == len(scenes)
        assert all(scene.is_possible for scene in scenes)


def test_order_matters_in_training(wide_plan: Plan) -> None:
    def turned(clips: tuple[Medium, ...]) -> bool:
        return clips[0].scene.reversed == clips[1].scene

    assert sum(turned(family.clips) for family in wide_plan.clips) > 0.2 * len(wide_plan.clips)


def test_content_ids_are_equal_if_and_only_if_meanings_are(wide_plan: Plan) -> None:
    from unite.world.captions import fine

    rng = rng_for(0, "captions")
    wholes = [medium for medium in wide_plan.media if medium.crop is None]
    meanings = {read_fine(fine(medium.scene, rng)): medium.content_id for medium in wholes}
    assert len(set(meanings.values())) == len(meanings)
    assert all(meanings[medium.scene] == medium.content_id for medium in wholes)


def test_a_crop_means_the_thing_without_its_place(wide_plan: Plan) -> None:
    crops = [medium for medium in wide_plan.media if medium.crop is not None]
    meanings = {(m.crop.size, m.crop.colour, m.crop.shape) for m in crops if m.crop}
    assert len({medium.content_id for medium in crops}) == len(meanings)
    assert not {m.content_id for m in crops} & {m.scene.fine_id for m in wide_plan.media}


def test_paths_are_unique(wide_plan: Plan) -> None:
    assert len({medium.path for medium in wide_plan.media}) == len(wide_plan.media)
