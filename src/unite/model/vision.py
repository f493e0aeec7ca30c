"""Qwen2-VL's vision tower: patches of pictures and frames become visual tokens.

Parameter names are those of the checkpoints.

Shapes: P patches, K values a patch, D width, F width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unite.model.config import VisionConfig
from unite.model.slices import by_rows

Grid = tuple[int, int, int]
"""Temporal slices, rows and columns of patches of one medium."""


class VisionTower(nn.Module):
    """Patches of pictures and frames to visual tokens; attention stays within a slice."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.merger = PatchMerger(config)

    def forward(self, patches_PK: Tensor, grids: Sequence[Grid]) -> Tensor:
        """Return visual tokens (P / merge², D) in the order of the patches."""
        hidden_PD = self.patch_embed(patches_PK)
        head_dim = self.config.width // self.config.heads
        angles = [_grid_angles(grid, self.config.merge_size, head_dim) for grid in grids]
        angle_PF = torch.cat(angles).to(hidden_PD.device)
        angle_PF = torch.cat((angle_PF, angle_PF), dim=-1)
        rotation = (angle_PF.cos()[:, None], angle_PF.sin()[:, None])
        slices = [h * w for t, h, w in grids for _ in range(t)]
        for block in self.blocks:
            hidden_PD = block(hidden_PD, rotation, slices)
        return self.merger(hidden_PD)


class PatchEmbed(nn.Module):
    """A linear map over flattened patches, stored as the convolution it stands for."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.channels, config.width, kernel, kernel, bias=False)

    def forward(self, patches_PK: Tensor) -> Tensor:
        """Return (P, D). A matrix product: Conv3d is many times slower on CPU."""
        weight = self.proj.weight.flatten(1)
        return F.linear(patches_PK.to(weight.dtype), weight)


class VisionBlock(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = VisionAttention(config)
        self.mlp = VisionMlp(config)

    def forward(
        self, hidden_PD: Tensor, rotation: tuple[Tensor, Tensor], slices: Sequence[int]
    ) -> Tensor:
        """Return (P, D)."""
        hidden_PD = hidden_PD + self.attn(self.norm1(hidden_PD), rotation, slices)
        return hidden_PD + self.mlp(self.norm2(hidden_PD))


class VisionAttention(nn.Module):
    """Full attention among the patches of one temporal slice, with 2-D rotary positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(
        self, hidden_PD: Tensor, rotation: tuple[Tensor, Tensor], slices: Sequence[int]
    ) -> Tensor:
        """Return (P, D); neighbouring slices of equal length share one attention call."""
        query, key, value = self.qkv(hidden_PD).unflatten(-1, (3, self.heads, -1)).unbind(1)
        query, key = rotate(query, *rotation), rotate(key, *rotation)
        parts, start = [], 0
        for length, count in _runs(slices):
            span = slice(start, start + length * count)
            parts.append(
                F.scaled_dot_product_attention(
                    *(
                        states[span].unflatten(0, (count, length)).transpose(1, 2)
                        for states in (query, key, value)
                    )
                )
                .transpose(1, 2)
                .flatten(0, 1)
            )
            start = span.stop
        return self.proj(torch.cat(parts).flatten(1))


class VisionMlp(nn.Module):
    """Two layers with QuickGELU."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp_width)
        self.fc2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the input's shape."""
        return by_rows(self._slice, hidden)

    def _slice(self, hidden: Tensor) -> Tensor:
        hidden = self.fc1(hidden)
        return self.fc2(hidden * torch.sigmoid(1.702 * hidden))


class PatchMerger(nn.Module):
    """Joins each square of patches into one token of the language model's width."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        joined = config.width * config.merge_size**2
        self.ln_q = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(joined, joined), nn.GELU(), nn.Linear(joined, config.out_width)
        )

    def forward(self, hidden_PD: Tensor) -> Tensor:
        """Return (P / merge², D)."""
        joined = self.mlp[0].in_features
        return self.mlp(self.ln_q(hidden_PD).view(-1, joined))


def visual_tokens(
    input_ids_BL: Tensor,
    pads: tuple[int, int],
    grids: Sequence[Grid],
    media: Sequence[int],
    merge: int,
) -> tuple[Tensor, list[int]]:
    """Which tokens are visual (B, L), and how many each medium has.

    Args:
        input_ids_BL: Token ids.
        pads: The ids that stand for a merged patch of a picture and of a clip.
        grids: The grid of each medium.
        media: The number of the medium at each place where one appears.
        merge: Side of the square of patches that becomes one token.

    Raises:
        ValueError: Visual tokens and patches differ in number.
    """
    visual_BL = (input_ids_BL == pads[0]) | (input_ids_BL == pads[1])
    sizes = [t * h * w // merge**2 for t, h, w in grids]
    count, expected = int(visual_BL.sum()), sum(sizes[number] for number in media)
    if count != expected:
        raise ValueError(f"{count} visual tokens in the text but {expected} from the pictures")
    return visual_BL, sizes


def is_trained(network: nn.Module) -> bool:
    """Whether any of its parameters takes a gradient."""
    return any(part.requires_grad for part in network.parameters())


def in_order(tokens_VD: Tensor, sizes: Sequence[int], media: Sequence[int]) -> Tensor:
    """The tokens of each medium where it appears; one that appears twice comes twice."""
    if list(media) == list(range(len(sizes))):
        return tokens_VD
    parts = tokens_VD.split(list(sizes))
    return torch.cat([parts[number] for number in media])


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the halves of the last dimension by the given angles, in fp32."""
    wide = states.float()
    first, second = wide.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (wide * cos + turned * sin).to(states.dtype)


def _runs(slices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Lengths of neighbouring equal slices, with how often each repeats."""
    start = 0
    for end in range(1, len(slices) + 1):
        if end == len(slices) or slices[end] != slices[start]:
            yield slices[start], end - start
            start = end


@lru_cache(maxsize=256)
def _grid_angles(grid: Grid, merge: int, head_dim: int) -> Tensor:
    """Angles of row and column of every patch of a medium, in merge-block order."""
    slices, rows, columns = grid
    index = torch.stack(
        torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1
    )
    blocks = index.view(rows // merge, merge, columns // merge, merge, 2).transpose(1, 2)
    position_P2 = blocks.reshape(-1, 2).repeat(slices, 1).float()
    half = head_dim // 2
    frequency_F = 10000.0 ** -(torch.arange(0, half, 2, dtype=torch.float32) / half)
    return (position_P2[..., None] * frequency_F).flatten(1)
