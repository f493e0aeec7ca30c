"""Qwen2 over packed rows: every token once, the last layer for the pooled tokens only.

Each layer is called once a forward pass, whatever the rows' lengths: processes that share
parameters (FSDP) must all call it equally often.

Shapes: B rows, T packed tokens, S shared ones, D width, H heads, F width of a head, G rows and R
own tokens of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unite.model.config import BackboneConfig
from unite.model.packing import Group, Packing, causal
from unite.model.slices import by_rows
from unite.model.vision import rotate

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of every token's angles, (T, 1, F)."""

Past = tuple[Tensor, Tensor]
"""Keys and values of leading tokens in one layer, (S, H, F)."""

_LINE = 256
"""Angles are kept for multiples of so many positions, so that few lengths are computed anew."""


class LanguageModel(nn.Module):
    """Qwen2 with plain 1-D positions, as UNITE was trained."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        # Zeros: random numbers, on the meta device too, would import torch._dynamo, a second.
        zeros = torch.zeros(config.vocabulary, config.width)
        self.embed_tokens = nn.Embedding.from_pretrained(zeros, freeze=False)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.checkpointing = False

    def forward(
        self, embeds_TD: Tensor, packing: Packing, pasts: Sequence[Past] | None = None
    ) -> Tensor:
        """Return the normed hidden state of each row's last token, (B, D).

        Args:
            embeds_TD: The packed tokens.
            packing: Where they lie.
            pasts: What `remember` gave for the leading tokens that are not among them.
        """
        known: Sequence[Past | None] = pasts or [None] * len(self.layers)
        rotation = self._rotation(packing)
        hidden_TD = embeds_TD
        for layer, past in zip(self.layers[:-1], known, strict=False):
            if self.checkpointing and self.training:
                hidden_TD = checkpoint(layer, hidden_TD, rotation, packing, use_reentrant=False)
            else:
                hidden_TD = layer(hidden_TD, rotation, packing, past=past)
        last_BD = self.layers[-1](hidden_TD, rotation, packing, last=True, past=known[-1])
        return self.norm(last_BD)[packing.order_B]

    def remember(self, embeds_SD: Tensor) -> list[Past]:
        """Keys and values in each layer of tokens that many rows begin with."""
        packing = Packing.of([len(embeds_SD)], len(embeds_SD), 0, embeds_SD.device)
        rotation = self._rotation(packing)
        hidden_SD, pasts = embeds_SD, []
        layers: Iterable[Any] = self.layers
        for layer in layers:
            pasts.append(layer.self_attn.past(layer.input_layernorm(hidden_SD), rotation))
            hidden_SD = layer(hidden_SD, rotation, packing)
        return pasts

    def _rotation(self, packing: Packing) -> Rotation:
        head_dim = self.config.width // self.config.heads
        longest = max(group.longest for group in packing.groups) + packing.shared
        line = _line(_LINE * -(-longest // _LINE), head_dim, self.config.rope_theta,
                     packing.position_T.device)  # fmt: skip
        cos_TF, sin_TF = (part_LF[packing.position_T] for part_LF in line)
        return cos_TF[:, None], sin_TF[:, None]


class DecoderLayer(nn.Module):
    """Pre-norm causal attention and gated MLP."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.self_attn = CausalAttention(config)
        self.mlp = GatedMlp(config)
        self.input_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)

    def forward(
        self,
        hidden_TD: Tensor,
        rotation: Rotation,
        packing: Packing,
        *,
        last: bool = False,
        past: Past | None = None,
    ) -> Tensor:
        """Return (T, D), or with `last` each row's last token, (B, D) in order of the groups."""
        normed_TD = self.input_layernorm(hidden_TD)
        attended = self.self_attn(normed_TD, rotation, packing, last=last, past=past)
        hidden = (hidden_TD[packing.last_B] if last else hidden_TD) + attended
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class CausalAttention(nn.Module):
    """Grouped-query attention with rotary positions 0..L-1.

    Right padding needs no mask: no real token looks at it.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.head_dim = config.width // config.heads
        self.groups = config.heads // config.kv_heads
        self.q_proj = nn.Linear(config.width, config.heads * self.head_dim)
        self.k_proj = nn.Linear(config.width, config.kv_heads * self.head_dim)
        self.v_proj = nn.Linear(config.width, config.kv_heads * self.head_dim)
        self.o_proj = nn.Linear(config.heads * self.head_dim, config.width, bias=False)

    def forward(
        self,
        hidden_TD: Tensor,
        rotation: Rotation,
        packing: Packing,
        *,
        last: bool = False,
        past: Past | None = None,
    ) -> Tensor:
        """Attend from every token, (T, D), or with `last` from each row's last one, (B, D)."""
        key_THF, value_THF = self.past(hidden_TD, rotation)
        fresh = packing.shared - packing.cached
        shared = key_THF[:fresh], value_THF[:fresh]
        if past is not None:
            shared = torch.cat((past[0], shared[0])), torch.cat((past[1], shared[1]))
        if last:
            hidden_TD = hidden_TD[packing.last_B]
            cos, sin = rotation
            rotation = cos[packing.last_B], sin[packing.last_B]
        query = rotate(self._heads(self.q_proj(hidden_TD)), *rotation)
        attend = self._from_last if last else self._from_all
        parts = attend(query, (key_THF, value_THF), shared, packing)
        return self.o_proj(torch.cat(list(parts)).flatten(1))

    def past(self, hidden_TD: Tensor, rotation: Rotation) -> Past:
        """Keys and values of tokens, (T, H, F)."""
        key_THF = rotate(self._heads(self.k_proj(hidden_TD)), *rotation)
        return key_THF, self._heads(self.v_proj(hidden_TD))

    def _from_all(
        self, query_THF: Tensor, own: Past, shared: Past, packing: Packing
    ) -> Iterator[Tensor]:
        """Of the shared tokens, then of each group's, (P, H, F)."""
        fresh = packing.shared - packing.cached
        if fresh:
            key, value = (self._wide(part.transpose(0, 1)[None]) for part in shared)
            query = query_THF[:fresh].transpose(0, 1)[None]
            seen = causal(fresh, packing.shared, query.device)
            yield _attend(query, key, value, seen)[0].transpose(0, 1)
        for group in packing.groups:
            key, value = self._rows(own[0], shared[0], group), self._rows(own[1], shared[1], group)
            yield group.packed(_attend(group.padded(query_THF), key, value, group.seen_RL))

    def _from_last(
        self, query_BHF: Tensor, own: Past, shared: Past, packing: Packing
    ) -> Iterator[Tensor]:
        """Of each group's last tokens, (G, H, F)."""
        parts = query_BHF.split([group.count for group in packing.groups])
        for group, query_GHF in zip(packing.groups, parts, strict=True):
            key, value = self._rows(own[0], shared[0], group), self._rows(own[1], shared[1], group)
            seen = None
            if group.place_P is not None:
                line = torch.arange(key.shape[2], device=key.device)
                seen = (line < group.own_G[:, None] + packing.shared)[:, None, None]
            out = F.scaled_dot_product_attention(query_GHF[:, :, None], key, value, attn_mask=seen)
            yield out[:, :, 0]

    def _rows(self, states_THF: Tensor, shared_SHF: Tensor, group: Group) -> Tensor:
        """Keys or values of a group's whole rows, (G, H, S + R, F)."""
        own = group.padded(states_THF)
        if len(shared_SHF):
            prefix = shared_SHF.transpose(0, 1).expand(group.count, -1, -1, -1)
            own = torch.cat((prefix, own), dim=2)
        return self._wide(own)

    def _wide(self, states: Tensor) -> Tensor:
        return states.repeat_interleave(self.groups, 1)

    def _heads(self, states_TD: Tensor) -> Tensor:
        return states_TD.unflatten(-1, (-1, self.head_dim))


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.up_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.down_proj = nn.Linear(config.mlp_width, config.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the input's shape."""
        return by_rows(self._slice, hidden)

    def _slice(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


def _attend(query: Tensor, key: Tensor, value: Tensor, seen_RL: Tensor | None) -> Tensor:
    """Attention of the last tokens of rows, each to what is not after it, (G, H, R, F)."""
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=seen_RL, is_causal=seen_RL is None
    )


@lru_cache(maxsize=64)
def _line(length: int, head_dim: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of positions 0..L-1, (L, F)."""
    frequency_F = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle_LF = torch.outer(torch.arange(length, dtype=torch.float32), frequency_F)
    angle_LF = torch.cat((angle_LF, angle_LF), dim=-1).to(device)
    return angle_LF.cos(), angle_LF.sin()
