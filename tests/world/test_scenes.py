from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from unite.world.scenes import (
    COLOURS,
    KINDS,
    NEW_PAIRS,
    NEW_SEQUENCES,
    PAIRS,
    SEEN_PAIRS,
    SHAPES,
    Edit,
    Motion,
    Scene,
    Thing,
    is_possible,
    neighbour,
    still,
)

CIRCLE = Thing(0, "circle", "red", "small")
STAR = Thing(8, "star", "blue", "large")


def clip(*motions: str, mover: Thing = CIRCLE) -> Scene:
    return Scene((CIRCLE, STAR), mover, tuple(Motion(*motion.split()) for motion in motions))


def test_held_out_pairs_use_each_shape_and_each_colour_once() -> None:
    assert len(NEW_PAIRS) == 8
    assert Counter(shape for shape, _ in NEW_PAIRS) == Counter(SHAPES)
    assert Counter(colour for _, colour in NEW_PAIRS) == Counter(COLOURS)
    assert set(SEEN_PAIRS) | NEW_PAIRS == set(PAIRS)


def test_each_held_out_sequence_is_seen_in_the_other_order() -> None:
    assert all({first, second} <= set(KINDS) for first, second in NEW_SEQUENCES)
    assert not {(second, first) for first, second in NEW_SEQUENCES} & NEW_SEQUENCES


def test_order_of_things_does_not_matter_to_meaning() -> None:
    assert still([STAR, CIRCLE]) == still([CIRCLE, STAR])


@pytest.mark.parametrize(
    "other",
    [
        replace(CIRCLE, cell=1),
        replace(CIRCLE, shape="ring"),
        replace(CIRCLE, colour="pink"),
        replace(CIRCLE, size="large"),
    ],
)
def test_every_field_is_part_of_the_fine_id(other: Thing) -> None:
    assert still([other, STAR]).fine_id != still([CIRCLE, STAR]).fine_id


def test_coarse_id_leaves_out_size_place_and_motion() -> None:
    elsewhere = still([replace(CIRCLE, cell=4, size="large"), replace(STAR, cell=1)])
    assert elsewhere.coarse_id == clip("blinks").coarse_id == still([CIRCLE, STAR]).coarse_id
    assert still([replace(CIRCLE, colour="pink"), STAR]).coarse_id != elsewhere.coarse_id


def test_fine_id_of_a_clip_knows_mover_motions_and_their_order() -> None:
    scenes = [
        clip("grows", "blinks"),
        clip("blinks", "grows"),
        clip("blinks"),
        clip("blinks", mover=STAR),
        clip("moves down"),
        clip("moves right"),
        still([CIRCLE, STAR]),
    ]
    assert len({scene.fine_id for scene in scenes}) == len(scenes)
    assert len({scene.still_id for scene in scenes}) == 1


def test_states_follow_the_motions() -> None:
    sizes = clip("grows", "moves down").states
    assert sizes == (CIRCLE, replace(CIRCLE, size="large"), replace(CIRCLE, size="large", cell=3))
    assert clip("turns pink", "vanishes").states[1:] == (replace(CIRCLE, colour="pink"), None)
    assert clip("blinks").states == (CIRCLE, CIRCLE)
    assert clip("shrinks", mover=STAR).states[1] == replace(STAR, size="small")
    assert still([CIRCLE]).states == ()


@pytest.mark.parametrize(
    ("motions", "possible"),
    [
        (["moves right"], True),
        (["moves left"], False),  # beyond the canvas
        (["moves right", "moves left"], False),  # along one line
        (["moves right", "moves right"], False),
        (["moves right", "moves down"], True),
        (["grows"], True),
        (["shrinks"], False),  # small already
        (["grows", "shrinks"], True),
        (["grows", "grows"], False),
        (["blinks", "blinks"], False),
        (["turns red"], False),  # red already
        (["turns pink", "turns red"], True),
        (["vanishes"], True),
        (["vanishes", "grows"], False),
        (["grows", "vanishes"], True),
    ],
)
def test_which_motions_are_possible(motions: list[str], possible: bool) -> None:
    parsed = [Motion(*motion.split()) for motion in motions]
    assert is_possible((CIRCLE, STAR), CIRCLE, parsed) == possible
    assert clip(*motions).is_possible == possible


def test_no_motion_runs_into_another_thing_or_makes_its_double() -> None:
    double = Thing(1, "circle", "blue", "small")
    things = (CIRCLE, double)
    assert not is_possible(things, CIRCLE, [Motion("moves", "right")])
    assert not is_possible(things, CIRCLE, [Motion("turns", "blue")])
    assert not is_possible(things, CIRCLE, [Motion("turns", "pink"), Motion("turns", "blue")])


def test_neighbours_of_the_grid() -> None:
    assert [neighbour(4, way) for way in ("left", "right", "up", "down")] == [3, 5, 1, 7]
    assert neighbour(2, "right") is None
    assert neighbour(3, "left") is None
    assert neighbour(8, "down") is None


def test_turning_into_a_held_out_pair_counts_as_showing_it() -> None:
    shape, colour = min(NEW_PAIRS)
    mover = Thing(4, shape, next(c for c in COLOURS if (shape, c) not in NEW_PAIRS), "small")
    scene = Scene((mover,), mover, (Motion("turns", colour),))
    assert scene.pairs & NEW_PAIRS
    assert not scene.is_seen
    assert still([mover]).is_seen


def test_a_held_out_sequence_is_not_seen() -> None:
    assert not clip("grows", "blinks").is_seen
    assert clip("grows", "blinks").reversed.is_seen


def test_an_edit_and_its_inverse_cancel() -> None:
    scene = still([CIRCLE, STAR])
    for edit in (
        Edit(CIRCLE, replace(CIRCLE, cell=5)),
        Edit(CIRCLE, None),
        Edit(None, Thing(4, "bar", "white", "large")),
    ):
        assert edit.apply(scene) != scene
        assert edit.inverse.apply(edit.apply(scene)) == scene
