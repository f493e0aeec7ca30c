"""Small models with random weights, to be trained from nothing."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from unite.media.pixels import PixelPolicy
from unite.media.video import FramePolicy
from unite.model.checkpoint import Model
from unite.model.config import BackboneConfig, VisionConfig
from unite.model.policy import Policy
from unite.model.qwen2_vl import Qwen2VLEncoder
from unite.model.tokenizer import IMAGE_PAD, VIDEO_PAD, token_id, train_tokenizer


def random_model(
    texts: Iterable[str],
    *,
    width: int = 96,
    mlp_width: int = 256,
    depth: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    vision_width: int = 64,
    vision_depth: int = 2,
    vision_heads: int = 4,
    vocabulary: int = 640,
    side: int = 84,
    nframes: int = 4,
    max_tokens: int = 1024,
    init_std: float = 0.05,
    seed: int = 0,
) -> Model:
    """Make a small Qwen2-VL.

    Args:
        texts: What its tokenizer is trained on: prompts as the model will read them.
        width: Width of the language model, and length of a vector.
        mlp_width: Inner width of its gated MLPs.
        depth: Its layers.
        heads: Its attention heads.
        kv_heads: Its key/value heads.
        vision_width: Width of the vision tower.
        vision_depth: Its layers.
        vision_heads: Its attention heads.
        vocabulary: Tokens before the control tokens.
        side: Pictures and frames are brought to about side² pixels, in one step.
        nframes: Frames of a clip.
        max_tokens: The longest input.
        init_std: Standard deviation of all matrices; 0.02 learns slower at this width.
        seed: Equal seeds give equal weights.
    """
    tokenizer = train_tokenizer(texts, vocabulary)
    config = BackboneConfig(
        width=width,
        mlp_width=mlp_width,
        depth=depth,
        heads=heads,
        kv_heads=kv_heads,
        vocabulary=tokenizer.get_vocab_size(),
        max_positions=max_tokens,
        image_token_id=token_id(tokenizer, IMAGE_PAD),
        video_token_id=token_id(tokenizer, VIDEO_PAD),
        vision=VisionConfig(
            depth=vision_depth,
            width=vision_width,
            heads=vision_heads,
            mlp_width=vision_width * 4,
            out_width=width,
        ),
        rope_theta=10000.0,
    )
    encoder = Qwen2VLEncoder(config)
    _initialise(encoder, init_std, torch.Generator().manual_seed(seed))
    return Model(encoder, tokenizer, small_policy(side, nframes, max_tokens), name="random")


def small_policy(side: int, nframes: int, max_tokens: int) -> Policy:
    """The policy of a small model: see `random_model`."""
    return Policy(
        pixels=_small_pixels(side),
        frames=FramePolicy(nframes=nframes),
        max_tokens=max_tokens,
        small_world=True,
    )


def _initialise(encoder: nn.Module, std: float, generator: torch.Generator) -> None:
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, std, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.fill_(1.0)


def _small_pixels(side: int) -> PixelPolicy:
    """Every picture and frame becomes side² pixels or the nearest multiple of a token."""
    area = side * side
    return PixelPolicy(
        first_min_pixels=area,
        first_max_pixels=area,
        min_pixels=area,
        max_pixels=area,
        clip_min_pixels=area,
        clip_max_pixels=area,
    )
