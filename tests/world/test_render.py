from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from unite.world.render import (
    CANVAS,
    FPS,
    MAX_FRAMES,
    MIN_FRAMES,
    PALETTE,
    Frame,
    distance,
    mp4_bytes,
    paint,
    png_bytes,
    render_clip,
    render_crop,
    render_image,
    sample_look,
    sample_spans,
    sprite,
)
from unite.world.sampling import pick_story, rng_for, sample_still
from unite.world.scenes import COLOURS, KINDS, SHAPES, Motion, Scene, Thing, still

RNG = rng_for(20, "scenes")
STILLS = [sample_still(RNG) for _ in range(60)]
CLIPS = [pick_story(RNG, scene, scene.things[0], new=True) for scene in STILLS]


def looked(name: str = "look") -> np.random.Generator:
    return rng_for(21, name)


def sampled(clip: Frame) -> Frame:
    """The four frames that a model sees, shape (4, H, W, 3)."""
    return clip[np.linspace(0, len(clip) - 1, 4).round().astype(int)]


def test_a_picture_is_a_function_of_scene_and_generator() -> None:
    image = render_image(STILLS[0], looked())
    assert image.shape == (CANVAS, CANVAS, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, render_image(STILLS[0], looked()))


def test_equal_meaning_never_looks_equal_twice() -> None:
    images = [render_image(STILLS[0], looked(str(i))).astype(int) for i in range(6)]
    for i, image in enumerate(images):
        assert all(np.abs(image - other).mean() > 2 for other in images[:i])


@pytest.mark.parametrize("field", ["cell", "shape", "colour", "size"])
def test_every_property_shows(field: str) -> None:
    thing = Thing(4, "circle", "red", "small")
    values = {"cell": 5, "shape": "ring", "colour": "pink", "size": "large"}
    other = replace(thing, **{field: values[field]})
    one, two = (render_image(still([each]), looked()).astype(int) for each in (thing, other))
    assert (np.abs(one - two).max(axis=2) > 60).sum() > 20


def test_all_shapes_differ_in_both_sizes() -> None:
    for size in ("small", "large"):
        images = [
            render_image(still([Thing(4, s, "white", size)]), looked()).astype(int) for s in SHAPES
        ]
        for i, image in enumerate(images):
            for other in images[:i]:
                assert (np.abs(image - other).max(axis=2) > 60).sum() > 20


def test_a_colour_is_nearest_to_its_own_name() -> None:
    for colour in COLOURS:
        image = render_image(still([Thing(4, "square", colour, "large")]), looked(colour))
        centre = image[38:46, 38:46].reshape(-1, 3).mean(axis=0)
        far = {name: np.linalg.norm(centre - rgb) for name, rgb in PALETTE.items()}
        assert min(far, key=lambda name: far[name]) == colour


def test_a_thing_lies_in_its_cell() -> None:
    for i, cell in enumerate(range(9)):
        scene = still([Thing(cell, "circle", "white", "small")])
        rows, columns = np.nonzero(render_image(scene, looked(str(i))).min(axis=2) > 150)
        assert (rows.mean() // 28, columns.mean() // 28) == divmod(cell, 3)


def test_the_background_is_dark_and_noisy() -> None:
    grounds = [sample_look(looked(str(i))).canvas_HWC for i in range(8)]
    assert max(ground.max() for ground in grounds) < 75
    assert min(np.diff(ground, axis=1).std() for ground in grounds) > 1
    assert np.std([ground.mean() for ground in grounds]) > 1


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_are_negative_inside_and_grow_outwards(shape: str) -> None:
    far = np.array([[30.0]], np.float32)
    none = np.zeros((1, 1), np.float32)
    assert distance(shape, far, none, 10) > 10
    inside = np.array([[0.76 * 10 if shape == "ring" else 0.0]], np.float32)
    assert distance(shape, inside, none, 10) < 0
    grid = np.linspace(-20, 20, 81, dtype=np.float32)
    area = [(distance(shape, grid[None], grid[:, None], r) < 0).mean() for r in (5.0, 10.0)]
    assert area[1] == pytest.approx(4 * area[0], rel=0.15)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="no such shape"):
        distance("blob", np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), 1)


def test_a_crop_is_a_cut_of_its_own_picture() -> None:
    for i, scene in enumerate(STILLS[:15]):
        thing = scene.things[-1]
        whole, crop = render_image(scene, looked(str(i))), render_crop(scene, thing, looked(str(i)))
        assert crop.shape == whole.shape
        half = np.asarray(Image.fromarray(crop).resize((42, 42), Image.Resampling.BOX), float)
        windows = np.lib.stride_tricks.sliding_window_view(whole, (42, 42, 3))[:, :, 0]
        assert np.abs(windows - half).mean(axis=(2, 3, 4)).min() < 5


def test_a_crop_shows_its_thing() -> None:
    scene = still([Thing(0, "square", "white", "large"), Thing(8, "square", "red", "large")])
    crop = render_crop(scene, scene.things[1], looked())
    assert (crop[..., 0].astype(int) - crop[..., 1] > 100).mean() > 0.15


def test_clips_last_two_to_four_seconds() -> None:
    lengths = {len(render_clip(scene, looked(str(i)))) for i, scene in enumerate(CLIPS)}
    assert min(lengths) >= MIN_FRAMES >= 2 * FPS
    assert max(lengths) <= MAX_FRAMES <= 4 * FPS
    assert len(lengths) > 5


def expected_frames(scene: Scene, rng: np.random.Generator) -> list[list[Frame]]:
    """What may be seen in each of the four frames, by state and absence alone."""
    look, mover = sample_look(rng), scene.mover
    assert mover is not None
    rest = [sprite(thing, look) for thing in scene.things if thing != mover]
    ground = paint(look.canvas_HWC, rest).astype(np.float32)
    shown = [
        ground.astype(np.uint8) if s is None else paint(ground, [sprite(s, look, mover.cell)])
        for s in scene.states
    ]
    gone = ground.astype(np.uint8)
    second = gone if scene.sequence[0] == "blinks" else shown[1]
    third = [shown[1]] if len(scene.motions) == 1 else [shown[1], shown[2]]
    if scene.sequence[1:] == ("blinks",):
        third = [gone]
    return [[shown[0]], [second], third, [shown[-1]]]


def test_motions_show_in_the_four_sampled_frames() -> None:
    for i, scene in enumerate(CLIPS):
        frames = sampled(render_clip(scene, looked(str(i))))
        for frame, allowed in zip(frames, expected_frames(scene, looked(str(i))), strict=True):
            assert any(np.abs(frame.astype(int) - each).max() <= 1 for each in allowed), scene


def test_order_can_be_told_from_the_sampled_frames() -> None:
    thing = Thing(4, "square", "red", "small")
    told = [
        ("moves left", "grows"),
        ("turns blue", "blinks"),
        ("blinks", "moves up"),
        ("grows", "turns green"),
    ]
    for pair in told:
        motions = tuple(Motion(*motion.split()) for motion in pair)
        for i in range(6):
            clip = Scene((thing,), thing, motions)
            forth, back = (
                sampled(render_clip(each, looked(str(i)))).astype(int)
                for each in (clip, clip.reversed)
            )
            assert (np.abs(forth[1] - back[1]).max(axis=2) > 60).sum() > 20


@pytest.mark.parametrize("first", [kind for kind in KINDS if kind != "vanishes"])
@pytest.mark.parametrize("second", KINDS)
def test_spans_leave_the_sampled_frames_alone(first: str, second: str) -> None:
    # A sampled frame lies within half a frame of the shortest clip from its time.
    slack = 0.5 / (MIN_FRAMES - 1)
    for i in range(20):
        spans = sample_spans((first, second), looked(str(i)))
        for place, (kind, (begin, end)) in enumerate(zip((first, second), spans, strict=True)):
            assert 0 < begin < end < 1
            for time in (1 / 3, 2 / 3):
                inside = begin < time - slack and time + slack < end
                clear = end < time - slack or time + slack < begin
                assert inside if kind == "blinks" and time == (place + 1) / 3 else clear
        assert spans[0][1] < spans[1][0] or "blinks" in (first, second)


def test_png_keeps_every_pixel() -> None:
    image = render_image(STILLS[0], looked())
    data = png_bytes(image)
    assert data == png_bytes(image)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), image)


def test_mp4_keeps_every_frame_nearly() -> None:
    for i, scene in enumerate(CLIPS[:8]):
        clip = render_clip(scene, looked(str(i)))
        data = mp4_bytes(clip)
        assert data == mp4_bytes(clip)
        with av.open(io.BytesIO(data)) as file:
            stream = file.streams.video[0]
            decoded = np.stack([f.to_ndarray(format="rgb24") for f in file.decode(stream)])
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.average_rate == FPS
        assert decoded.shape == clip.shape
        assert np.abs(decoded.astype(int) - clip).mean() < 4


ENCODE = """
import hashlib
from unite.world.render import mp4_bytes, render_clip
from unite.world.sampling import pick_story, rng_for, sample_still
rng = rng_for(20, "memory")
stills = [sample_still(rng) for _ in range(40)]
clips = [render_clip(pick_story(rng, scene, scene.things[0]), rng) for scene in stills]
print(hashlib.sha256(b"".join(mp4_bytes(clip) for clip in clips)).hexdigest())
"""


def test_mp4_does_not_depend_on_what_memory_held_before() -> None:
    found = set()
    for fill in ("1", "85", "254"):  # glibc fills fresh memory with it; elsewhere it does nothing
        fills = {"MALLOC_PERTURB_": fill, "MALLOC_MMAP_THRESHOLD_": "1000000000"}
        done = subprocess.run(
            [sys.executable, "-c", ENCODE], env=os.environ | fills, capture_output=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
