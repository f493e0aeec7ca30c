from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from unite.errors import CheckpointError
from unite.media.pixels import PixelPolicy
from unite.media.video import FramePolicy
from unite.model.config import BackboneConfig, LaterConfig, VisionConfig
from unite.model.policy import POLICY_FILE, Policy, read_policy

PLAIN = Policy(pixels=PixelPolicy(), frames=FramePolicy())
BACKBONE = BackboneConfig(
    width=64, mlp_width=96, depth=1, heads=4, kv_heads=2, vocabulary=64, max_positions=32768,
    image_token_id=1, video_token_id=2,
    vision=VisionConfig(depth=1, width=32, heads=2, mlp_width=128, out_width=64),
)  # fmt: skip
LATER = LaterConfig(
    row={}, width=8, max_positions=99, image_token_id=1, video_token_id=2,
    patch_size=16, temporal_patch_size=2, merge_size=2,
)  # fmt: skip


def test_what_is_written_is_read_back() -> None:
    odd = Policy(
        pixels=PixelPolicy(min_pixels=1, mean=(0.1, 0.2, 0.3)),
        frames=FramePolicy(nframes=7),
        max_tokens=9,
        mixed_gallery=True,
        small_world=True,
    )
    for policy in (PLAIN, odd):
        there = Policy.from_json(json.loads(json.dumps(policy.to_json())))
        assert there == policy
        assert hash(there) == hash(policy)


def test_shorter_lengths_are_kept_and_their_absence_leaves_no_trace() -> None:
    assert "matryoshka" not in PLAIN.to_json()
    row = json.loads(json.dumps(replace(PLAIN, matryoshka=(64, 128)).to_json()))
    assert row["matryoshka"] == [64, 128]
    assert Policy.from_json(row).matryoshka == (64, 128)
    for wrong in (["many"], 64):
        with pytest.raises(CheckpointError):
            Policy.from_json({**row, "matryoshka": wrong})


def test_a_released_model_without_a_policy_has_the_published_one(tmp_path: Path) -> None:
    policy = read_policy(tmp_path, BACKBONE)
    assert policy == replace(PLAIN, max_tokens=32768)
    assert (policy.frames.fps, policy.frames.min_frames, policy.frames.max_frames) == (1.0, 4, 12)
    assert policy.pixels.clip_max_pixels == 240 * 320
    assert (policy.pixels.min_pixels, policy.pixels.max_pixels) == (256 * 28**2, 1280 * 28**2)


def test_a_later_backbone_has_its_own_patches_and_places(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 0.5], "min_pixels": 7})
    )
    policy = read_policy(tmp_path, LATER)
    assert (policy.positions, policy.max_tokens, policy.pixels.factor) == ("mrope", 99, 32)
    assert (policy.pixels.min_pixels, policy.pixels.max_pixels) == (256 * 32**2, 1280 * 32**2)
    assert (policy.pixels.mean, policy.pixels.std) == ((0.5, 0.5, 0.5), (0.25, 0.5, 0.5))
    assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    # What transformers 5 writes instead, and reads first.
    row = {"image_processor": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}}
    (tmp_path / "processor_config.json").write_text(json.dumps(row))
    pixels = read_policy(tmp_path, LATER).pixels
    assert (pixels.mean, pixels.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(CheckpointError, match=r"'promt'.*Did you mean 'prompt'"):
        Policy.from_json({**PLAIN.to_json(), "promt": "x"})


@pytest.mark.parametrize(
    "change",
    [{"pixels": {"width": 3}}, {"frames": {"fsp": 1}}, {"frames": 3}, {"pixels": None}],
)
def test_a_policy_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="whole policy"):
        Policy.from_json({**PLAIN.to_json(), **change})


def test_half_a_policy_is_refused(tmp_path: Path) -> None:
    row = {key: value for key, value in PLAIN.to_json().items() if key != "pixels"}
    with pytest.raises(CheckpointError, match="pixels"):
        Policy.from_json(row)
    (tmp_path / POLICY_FILE).write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        read_policy(tmp_path, BACKBONE)


@pytest.mark.parametrize("name", ["prompt", "positions", "pooling"])
def test_what_a_later_version_may_know_is_refused_here(name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{name} is 'new'.*Update"):
        Policy.from_json({**PLAIN.to_json(), name: "new"})


def test_other_frames() -> None:
    fixed = PLAIN.with_frames(nframes=16)
    assert fixed.frames == FramePolicy(nframes=16)
    assert PLAIN.with_frames() == PLAIN
    assert fixed.with_frames() == fixed
    assert fixed.with_frames(fps=2.0).frames == FramePolicy(fps=2.0)
    assert fixed.with_frames(max_frames=48).frames == FramePolicy(max_frames=48)
    assert PLAIN.with_frames(max_frames=2).frames == FramePolicy(min_frames=2, max_frames=2)
    assert PLAIN.with_frames(8, 2.0).frames == FramePolicy(nframes=8, fps=2.0)
