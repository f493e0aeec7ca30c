"""Qwen2-VL-2B's widths with fewer layers and random weights, and texts for it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import torch
from torch import nn

WIDTH, MLP, HEADS, KV_HEADS = 1536, 8960, 12, 2
VISION_WIDTH = 1280
WORDS = [f"word{number}" for number in range(400)]


def real_width(depth: int, vision_depth: int, pixels: dict[str, int], frames: int) -> Any:
    """Random weights; small limits of pixels keep the benchmark to minutes."""
    from unite.model.checkpoint import Model
    from unite.model.config import BackboneConfig, VisionConfig
    from unite.model.qwen2_vl import Qwen2VLEncoder
    from unite.model.scratch import random_model

    small = random_model(WORDS, seed=0, width=32, mlp_width=32, depth=1, heads=2, kv_heads=2,
                         vision_width=32, vision_depth=1, vision_heads=2, vocabulary=1000,
                         side=84, nframes=frames, max_tokens=4096, init_std=0.02)  # fmt: skip
    old = small.encoder.config
    config = BackboneConfig(
        width=WIDTH, mlp_width=MLP, depth=depth, heads=HEADS, kv_heads=KV_HEADS,
        vocabulary=old.vocabulary, max_positions=32768,
        image_token_id=old.image_token_id, video_token_id=old.video_token_id,
        vision=VisionConfig(depth=vision_depth, width=VISION_WIDTH, heads=16,
                            mlp_width=4 * VISION_WIDTH, out_width=WIDTH),
    )  # fmt: skip
    torch.manual_seed(0)
    encoder = Qwen2VLEncoder(config)
    for part in encoder.parameters():
        nn.init.normal_(part, 0.0, 0.02) if part.dim() > 1 else nn.init.ones_(part)
    policy = replace(
        small.policy,
        pixels=replace(small.policy.pixels, **pixels),
        frames=replace(small.policy.frames, nframes=frames),
        max_tokens=4096,
        small_world=False,
    )
    return Model(encoder, small.tokenizer, policy, "benchmark")


def heavy_tailed(rng: random.Random, mean: float, spread: float) -> str:
    """Heavy-tailed lengths, as captions and passages have."""
    return " ".join(rng.choices(WORDS, k=min(400, max(3, round(rng.lognormvariate(mean, spread))))))
