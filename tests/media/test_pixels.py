from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unite.errors import MediaError
from unite.media.pixels import (
    PixelPolicy,
    first_frame_size,
    first_size,
    normalise,
    patchify,
    resize_frames,
    resize_image,
    smart_resize,
)

from .conftest import noise

POLICY = PixelPolicy()
SMALL = PixelPolicy(
    first_min_pixels=84 * 84,
    first_max_pixels=84 * 84,
    min_pixels=84 * 84,
    max_pixels=84 * 84,
    clip_min_pixels=84 * 84,
    clip_max_pixels=84 * 84,
)
"""A model that keeps 84×84 as it is."""


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((480, 640), (3136, 12845056), (476, 644)),
        ((90, 120), (3136, 12845056), (84, 112)),
        ((1, 1), (3136, 12845056), (56, 56)),
        ((42, 42), (784, 10**6), (56, 56)),  # 1.5 rounds half to even, up
        ((70, 70), (784, 10**6), (56, 56)),  # 2.5 rounds half to even, down
        ((84, 112), (200704, 1003520), (392, 532)),
        ((4000, 6000), (200704, 1003520), (812, 1204)),
        ((240, 320), (100352, 76800), (224, 308)),
        ((360, 640), (100352, 76800), (196, 364)),
    ],
)
def test_sizes_worked_by_hand(
    size: tuple[int, int], limits: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert smart_resize(*size, 28, *limits) == expected


def test_the_upper_limit_of_a_clip_wins_only_above_it() -> None:
    # 160×120 is below both limits and is enlarged to the lower, although that is the larger one:
    # so the released code, and so the weights know small clips.
    assert first_frame_size(120, 160, POLICY) == (280, 392)
    assert 280 * 392 > POLICY.clip_min_pixels > POLICY.clip_max_pixels
    height, width = first_frame_size(1080, 1920, POLICY)
    assert height * width <= POLICY.clip_max_pixels


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_size_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match="no pixels"):
        smart_resize(*size, 28, 784, 10**6)


sides = st.integers(1, 8000)


@given(height=sides, width=sides, factor=st.sampled_from([2, 14, 28, 32]), least=st.integers(1, 64))
def test_sizes_are_multiples_within_limits_of_the_same_shape(
    height: int, width: int, factor: int, least: int
) -> None:
    unit = factor * factor
    low, high = least * unit, 4 * least * unit + 1200 * unit
    tall, wide = smart_resize(height, width, factor, low, high)
    assert tall % factor == wide % factor == 0
    assert min(tall, wide) >= factor
    assert tall * wide >= low or tall * wide > 0.5 * low  # shrinking rounds each side down
    if min(tall, wide) > factor:
        assert tall * wide <= high
        # Each side is off by less than one factor from a common scale.
        scales = sorted(((tall - factor) / height, (tall + factor) / height))
        others = sorted(((wide - factor) / width, (wide + factor) / width))
        assert scales[0] <= others[1]
        assert others[0] <= scales[1]


@given(height=sides, width=sides)
def test_turning_a_picture_turns_its_size(height: int, width: int) -> None:
    limits = (POLICY.factor, POLICY.min_pixels, POLICY.max_pixels)
    assert smart_resize(height, width, *limits) == smart_resize(width, height, *limits)[::-1]


@given(height=sides, width=sides)
def test_a_size_in_range_is_kept(height: int, width: int) -> None:
    limits = (POLICY.factor, POLICY.min_pixels, POLICY.max_pixels)
    once = smart_resize(height, width, *limits)
    if POLICY.min_pixels <= once[0] * once[1] <= POLICY.max_pixels:
        assert smart_resize(*once, *limits) == once


def test_a_picture_is_resized_twice_by_pillows_bicubic() -> None:
    image = Image.fromarray(noise(90, 120))
    assert first_size(90, 120, POLICY) == (84, 112)
    twice = image.resize((112, 84), Image.Resampling.BICUBIC).resize(
        (532, 392), Image.Resampling.BICUBIC
    )
    np.testing.assert_array_equal(resize_image(image, POLICY), np.asarray(twice))


def test_the_steps_that_change_nothing_may_be_left_out() -> None:
    image = Image.fromarray(noise(84, 84))
    same = image.resize((84, 84), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(same), np.asarray(image))
    np.testing.assert_array_equal(resize_image(image, SMALL), np.asarray(image))
    frames = np.stack([np.asarray(image)] * 2)
    np.testing.assert_array_equal(resize_frames(frames, SMALL), frames)


def test_frames_are_resized_alone_as_together() -> None:
    import torch
    from torch.nn.functional import interpolate

    frames = np.stack([noise(120, 200, seed) for seed in range(3)])
    height, width = first_frame_size(120, 200, POLICY)
    batch = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    together = interpolate(batch, (height, width), mode="bicubic", antialias=True)
    rounded = together.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    no_second = replace(POLICY, min_pixels=1, max_pixels=10**8)
    np.testing.assert_array_equal(resize_frames(frames, no_second), rounded)


def test_frames_may_be_read_only_and_turned() -> None:
    frames = np.rot90(np.stack([noise(48, 64)] * 2), axes=(1, 2))
    frames.setflags(write=False)
    turned = resize_frames(np.ascontiguousarray(frames), POLICY)
    np.testing.assert_array_equal(resize_frames(frames, POLICY), turned)


def test_no_frames_are_refused() -> None:
    with pytest.raises(MediaError, match="no frames"):
        resize_frames(np.zeros((0, 8, 8, 3), np.uint8), POLICY)


@pytest.mark.parametrize(
    ("patch", "merge", "temporal", "frames"), [(14, 2, 2, 2), (4, 2, 2, 5), (3, 1, 1, 3)]
)
def test_patches_lie_in_the_order_in_which_they_are_merged(
    patch: int, merge: int, temporal: int, frames: int
) -> None:
    policy = replace(POLICY, patch_size=patch, merge_size=merge, temporal_patch_size=temporal)
    height, width = 2 * policy.factor, 3 * policy.factor
    video = np.stack([noise(height, width, seed) for seed in range(frames)])
    patches, grid = patchify(video, policy)
    slices = -(-frames // temporal)
    assert grid == (slices, height // patch, width // patch)
    assert patches.shape == (np.prod(grid), 3 * temporal * patch * patch)
    assert patches.dtype == np.uint8
    # Slowly, one patch after the other: block row, block column, then row and column inside.
    rows = itertools.product(range(slices), range(2), range(3), range(merge), range(merge))
    for at, (time, block_row, block_column, row, column) in enumerate(rows):
        top = (block_row * merge + row) * patch
        left = (block_column * merge + column) * patch
        numbers = [min(time * temporal + k, frames - 1) for k in range(temporal)]
        piece = video[numbers, top : top + patch, left : left + patch]
        np.testing.assert_array_equal(patches[at], piece.transpose(3, 0, 1, 2).ravel())


def test_a_picture_is_seen_twice() -> None:
    picture = noise(56, 56)[None]
    once, grid = patchify(picture, POLICY)
    twice, _ = patchify(picture.repeat(2, axis=0), POLICY)
    assert grid == (1, 4, 4)
    np.testing.assert_array_equal(once, twice)


def test_all_values_are_normalised_as_the_published_processor_does() -> None:
    values = np.arange(256, dtype=np.uint8)
    patches = np.stack([np.tile(values, 6)])  # (1, 3 channels × 512)
    rescaled = (values * (1 / 255)).astype(np.float32)
    expected = [
        (rescaled - np.float32(mean)) / np.float32(std)
        for mean, std in zip(POLICY.mean, POLICY.std, strict=True)
    ]
    got = normalise(patches, POLICY).reshape(3, 2, 256)
    assert got.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(got[channel, 0], expected[channel], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(got[channel, 0], got[channel, 1])


def test_normalising_leaves_the_bytes_alone() -> None:
    patches, _ = patchify(noise(56, 56)[None], POLICY)
    before = patches.copy()
    normalise(patches, POLICY)
    np.testing.assert_array_equal(patches, before)


def test_a_policy_survives_json() -> None:
    row = json.loads(json.dumps(asdict(SMALL)))
    back = PixelPolicy(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
    assert back == SMALL
    assert back != POLICY


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected"):
        PixelPolicy(**{**asdict(POLICY), "min_pixel": 3})


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": 0},
        {"merge_size": -1},
        {"min_pixels": 10, "max_pixels": 9},
        {"first_min_pixels": 10, "first_max_pixels": 9},
        {"std": (0.1, 0.0, 0.1)},
    ],
)
def test_a_policy_that_cannot_be_is_refused(wrong: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=r"above (0|the upper)"):
        PixelPolicy(**wrong)
