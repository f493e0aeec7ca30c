from __future__ import annotations

from collections import Counter

import numpy as np

from unite.world.sampling import (
    pick_story,
    rng_for,
    sample_edit,
    sample_still,
    shuffled,
    stories,
)
from unite.world.scenes import CELLS, KINDS, NEW_PAIRS, NEW_SEQUENCES, Scene, Thing, still


def draws(count: int = 300, *, new: bool = False) -> list[Scene]:
    rng = rng_for(5, "draws")
    return [sample_still(rng, new=new) for _ in range(count)]


def test_a_generator_depends_on_seed_and_name_only() -> None:
    first, again = rng_for(1, "a").random(4), rng_for(1, "a").random(4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, rng_for(2, "a").random(4))
    assert not np.array_equal(first, rng_for(1, "b").random(4))


def test_shuffling_keeps_what_is_there() -> None:
    assert sorted(shuffled(rng_for(0, "s"), range(9))) == list(range(9))


def test_stills_are_well_formed_and_seen() -> None:
    for scene in draws():
        assert 1 <= len(scene.things) <= 3
        assert len({thing.cell for thing in scene.things}) == len(scene.things)
        assert len({thing.pair for thing in scene.things}) == len(scene.things)
        assert scene.is_seen
        assert list(scene.things) == sorted(scene.things)


def test_new_stills_have_exactly_one_held_out_pair() -> None:
    assert all(len(scene.pairs & NEW_PAIRS) == 1 for scene in draws(new=True))


def test_stills_use_every_cell_shape_colour_and_count() -> None:
    scenes = draws()
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.cell for thing in things} == set(CELLS)
    assert len({thing.pair for thing in things}) == 56
    counts = Counter(len(scene.things) for scene in scenes)
    assert min(counts[1], counts[2], counts[3]) > 0.1 * len(scenes)


def test_edits_change_one_thing_and_stay_in_the_split() -> None:
    rng, kinds = rng_for(6, "edits"), set[tuple[bool, ...]]()
    for new in (False, True):
        for scene in draws(new=new):
            edit = sample_edit(rng, scene, new=new)
            after = edit.apply(scene)
            changed = set(scene.things) ^ set(after.things)
            assert changed == {thing for thing in (edit.before, edit.after) if thing}
            assert bool(after.pairs & NEW_PAIRS) == new
            assert len({thing.cell for thing in after.things}) == len(after.things)
            assert len(after.pairs) == len(after.things) <= 3
            kinds.add((edit.before is None, edit.after is None))
    assert kinds == {(False, False), (True, False), (False, True)}


def test_an_edit_changes_one_property_at_most() -> None:
    rng = rng_for(7, "edits")
    for scene in draws():
        edit = sample_edit(rng, scene)
        if edit.before and edit.after:
            fields = ("cell", "shape", "colour", "size")
            assert sum(getattr(edit.before, f) != getattr(edit.after, f) for f in fields) == 1


def test_stories_are_all_that_is_possible_and_no_more() -> None:
    mover = Thing(4, "circle", "red", "small")
    found = stories(still([mover]), mover)
    assert len(set(found)) == len(found)
    assert all(clip.is_possible and clip.mover == mover for clip in found)
    # 4 moves, 7 colours, grows, blinks, vanishes.
    assert sum(len(clip.motions) == 1 for clip in found) == 14
    # After a move: 2 moves (neither along the same line), 10 others; after growing: 4 moves,
    # 7 colours, shrinks, blinks, vanishes; after a blink: 13; after a colour: 14.
    assert sum(len(clip.motions) == 2 for clip in found) == 4 * 12 + 14 + 13 + 7 * 14


def test_picked_stories_obey_the_split() -> None:
    rng = rng_for(8, "stories")
    for scene in draws(120):
        mover = scene.things[0]
        assert pick_story(rng, scene, mover, held_out=False).is_seen
        held_out = pick_story(rng, scene, mover, held_out=True)
        assert held_out.sequence in NEW_SEQUENCES
        assert not held_out.pairs & NEW_PAIRS


def test_no_kind_of_motion_crowds_out_the_rest() -> None:
    rng = rng_for(9, "kinds")
    clips = [pick_story(rng, scene, scene.things[0], held_out=False) for scene in draws()]
    counts = Counter(kind for clip in clips for kind in clip.sequence)
    assert set(counts) == set(KINDS)
    assert max(counts.values()) < 5 * min(counts.values())
    assert 0.2 < sum(len(clip.motions) == 1 for clip in clips) / len(clips) < 0.5
