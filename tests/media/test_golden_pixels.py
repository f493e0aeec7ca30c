"""Pixel values of the published pipeline, and what a wrong port would make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from unite.media.image import open_image
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
from unite.media.video import FramePolicy, read_clip
from unite.types import Clip

from .conftest import GOLDEN, Bytes, golden_cases

Floats = npt.NDArray[np.float32]
Case = dict[str, Any]
IMAGES, CLIPS = golden_cases("pixel_values"), golden_cases("pixel_values_videos")
GREY = 1 / 255 / 0.26  # what one grey level is worth at most, after normalising
UNSET = 768 * 28 * 28  # the released upper limit of a clip whose settings give none


def names(cases: list[Case]) -> list[str]:
    return [case["id"] for case in cases]


def by_id(cases: list[Case], name: str) -> Case:
    return next(case for case in cases if case["id"] == name)


def paths(case: Case, kind: str) -> list[str]:
    named = case["item"][kind]
    return [str(GOLDEN / path) for path in (named if isinstance(named, list) else [named])]


def clip_policies(case: Case) -> tuple[PixelPolicy, FramePolicy]:
    settings = dict(case["settings"]["video"])
    return PixelPolicy(clip_max_pixels=settings.pop("max_pixels", UNSET)), FramePolicy(**settings)


def values_of(frames: list[Bytes], policy: PixelPolicy) -> tuple[Floats, list[list[int]]]:
    cut = [patchify(part, policy) for part in frames]
    patches = np.concatenate([patches for patches, _ in cut])
    return normalise(patches, policy), [list(grid) for _, grid in cut]


def image_values(case: Case, resize: Callable[..., Bytes] = resize_image) -> Floats:
    policy = PixelPolicy()
    images = [open_image(path).image for path in paths(case, "image")]
    values, grids = values_of([resize(image, policy)[None] for image in images], policy)
    if resize is resize_image:
        assert grids == case["image_grid_thw"]
        sizes = [list(first_size(image.height, image.width, policy)) for image in images]
        assert sizes == case["first_resize_hw"]["image"]
    return values


def clip_values(case: Case, resize: Callable[..., Bytes] = resize_frames) -> Floats:
    policy, frame_policy = clip_policies(case)
    (path,) = paths(case, "video")
    clip = read_clip(Clip(path), frame_policy)
    assert clip.note is None
    assert list(clip.indices) == case["video_decode"][0]["indices"]
    size = list(first_frame_size(*clip.frames_THWC.shape[1:3], policy))
    assert [size] == case["first_resize_hw"]["video"]
    values, grids = values_of([resize(clip.frames_THWC, policy)], policy)
    if resize is resize_frames:
        assert grids == case["video_grid_thw"]
    return values


def probes(values: Floats, expected: Case) -> float:
    """Largest difference at the probed values."""
    found = values.ravel()[expected["probe_index"]]
    return float(np.abs(found - expected["probe_value"]).max())


def figures(values: Floats, expected: Case) -> float:
    """Largest difference in mean, deviation and mean magnitude."""
    wide = values.astype(np.float64)
    return max(
        abs(wide.mean() - expected["mean"]),
        abs(wide.std() - expected["std"]),
        abs(np.abs(wide).sum() - expected["abs_sum"]) / wide.size,
    )


@pytest.mark.parametrize("case", IMAGES, ids=names(IMAGES))
def test_pictures_match_to_the_last_digit_kept(case: Case) -> None:
    values, expected = image_values(case), case["pixel_values"]
    assert list(values.shape) == expected["shape"]
    assert figures(values, expected) < 1e-6
    assert probes(values, expected) < 1e-5


@pytest.mark.parametrize("case", CLIPS, ids=names(CLIPS))
def test_clips_match_within_a_few_grey_levels_at_halves(case: Case) -> None:
    values, expected = clip_values(case), case["pixel_values_videos"]
    assert list(values.shape) == expected["shape"]
    # Another torch may round a few exact halves to the other side; a wrong step costs far more.
    assert figures(values, expected) < 2e-5
    assert probes(values, expected) < 1.01 * GREY


def pillow_once(image: Image.Image, policy: PixelPolicy) -> Bytes:
    size = smart_resize(
        image.height, image.width, policy.factor, policy.min_pixels, policy.max_pixels
    )
    return np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))


def pillow_bilinear(image: Image.Image, policy: PixelPolicy) -> Bytes:
    size = first_size(image.height, image.width, policy)
    first = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return resize_image(first, policy)


def frames_once(frames_THWC: Bytes, policy: PixelPolicy) -> Bytes:
    return np.stack([pillow_once(Image.fromarray(frame), policy) for frame in frames_THWC])


def frames_by(mode: str, antialias: bool) -> Callable[[Bytes, PixelPolicy], Bytes]:
    def resize(frames_THWC: Bytes, policy: PixelPolicy) -> Bytes:
        import torch
        from torch.nn.functional import interpolate

        size = first_frame_size(*frames_THWC.shape[1:3], policy)
        batch = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2).float()
        first = interpolate(batch, size, mode=mode, antialias=antialias).clamp(0, 255).round()
        frames = first.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return resize_frames(frames, replace(policy, clip_min_pixels=1))

    return resize


@pytest.mark.parametrize("name", ["image_small", "image_jpeg"])
@pytest.mark.parametrize("wrong", [pillow_once, pillow_bilinear])
def test_a_wrong_port_fails_on_pictures(name: str, wrong: Callable[..., Bytes]) -> None:
    case = by_id(IMAGES, name)
    values = image_values(case, wrong)
    expected = case["pixel_values"]
    assert list(values.shape) != expected["shape"] or figures(values, expected) > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [frames_once, frames_by("bilinear", True), frames_by("bicubic", False)],
    ids=["once", "bilinear", "no antialias"],
)
def test_a_wrong_port_fails_on_clips(wrong: Callable[..., Bytes]) -> None:
    case = by_id(CLIPS, "video_long_train")
    values = clip_values(case, wrong)
    expected = case["pixel_values_videos"]
    assert list(values.shape) != expected["shape"] or figures(values, expected) > 1e-4
