"""Qwen2-VL as an encoder: tokens and patches in, one vector an item out.

Our own forward pass over Qwen2-VL's modules. Parameter names are those of the
checkpoints, so weights load without renaming; the vectors equal transformers' to 1e-5
(tested). It differs in five exact ways, each for speed: no lm_head; one attention call for
all temporal slices of equal length; rows are right-padded in groups of similar length, so
that causal attention needs no mask; tokens that all rows begin with are computed once; the
last layer runs for the pooled token only. Nor does it import transformers, which alone
takes longer than a whole search may.

Shapes: P patches, K values a patch, B rows, L tokens (S of them shared, R a row's own), H heads,
F width of a head, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unite.model.config import BackboneConfig
from unite.model.vision import Grid, VisionTower, in_order, is_trained, rotate, visual_tokens


class Qwen2VLEncoder(nn.Module):
    """The embedding path of Qwen2-VL: vision tower, language model, last-token pooling.

    Args:
        config: Shapes and token ids.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = VisionTower(config.vision)
        self.model = LanguageModel(config)

    def save_memory(self) -> None:
        """Compute each layer of the language model again in the backward pass."""
        self.model.checkpointing = True

    def forward(
        self,
        input_ids_BL: Tensor,
        length_B: Tensor,
        patches_PK: Tensor | None = None,
        grids: Sequence[Grid] = (),
        media: Sequence[int] | None = None,
        seen: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Embed right-padded rows.

        Args:
            input_ids_BL: Token ids; each visual token stands for one merged patch.
            length_B: Tokens in each row.
            patches_PK: Patches of all media, one medium after another.
            grids: The grid of each medium.
            media: The number of the medium at each place where one appears, rows in order; by
                default each medium appears once, in its order.
            seen: What `see` gave for the media, in place of their patches.

        Returns:
            Hidden state of each row's last token after the final norm, (B, D), not normalised.

        Raises:
            ValueError: Visual tokens and patches differ in number.
        """
        embeds_BLD = self.model.embed_tokens(input_ids_BL)
        media = range(len(grids)) if media is None else media
        pads = self.config.image_token_id, self.config.video_token_id
        visual_BL, sizes = visual_tokens(
            input_ids_BL, pads, grids, media, self.config.vision.merge_size
        )
        if len(grids) and (seen is not None or patches_PK is not None):
            vision_VD = in_order(
                torch.cat(list(seen)) if seen is not None else self.visual(patches_PK, grids),
                sizes,
                media,
            )
            embeds_BLD = embeds_BLD.masked_scatter(
                visual_BL[..., None], vision_VD.to(embeds_BLD.dtype)
            )
        elif self.training and torch.is_grad_enabled() and is_trained(self.visual):
            embeds_BLD = embeds_BLD + self._untouched()
        shared = shared_prefix(input_ids_BL, length_B, visual_BL)
        order, vectors = [], []
        for rows in length_groups(length_B.tolist()):
            longest = int(length_B[rows].max())
            vectors.append(self.model(embeds_BLD[rows, :longest], length_B[rows], shared))
            order.extend(rows)
        place_B = torch.empty(len(order), dtype=torch.long, device=embeds_BLD.device)
        place_B[torch.tensor(order)] = torch.arange(len(order), device=place_B.device)
        return torch.cat(vectors)[place_B]

    def see(self, patches_PK: Tensor, grids: Sequence[Grid]) -> list[Tensor]:
        """The visual tokens (V, D) of each medium."""
        tokens_VD = self.visual(patches_PK, grids)
        merged = self.config.vision.merge_size**2
        return list(tokens_VD.split([t * h * w // merged for t, h, w in grids]))

    def _untouched(self) -> Tensor:
        """A zero that depends on the vision tower.

        Data-parallel training waits for a gradient of every parameter, on a batch without
        media too.
        """
        merge = self.config.vision.merge_size
        patches_PK = self.visual.patch_embed.proj.weight.new_zeros(
            merge**2, self.config.vision.patch_values
        )
        return 0.0 * self.visual(patches_PK, [(1, merge, merge)]).sum()


def shared_prefix(input_ids_BL: Tensor, length_B: Tensor, visual_BL: Tensor) -> int:
    """Number of leading tokens that all rows have in common; at least one token stays a row's own.

    The system turn of the prompt is the same in every item: a third of a short text. A visual
    token is never shared: its id is the same for every picture, what it stands for is not.
    """
    limit = int(length_B.min()) - 1
    differs_L = (input_ids_BL[:, :limit] != input_ids_BL[:1, :limit]).any(0) | visual_BL[0, :limit]
    return int(differs_L.int().argmax()) if bool(differs_L.any()) else limit


def length_groups(lengths: Sequence[int], waste: float = 0.15) -> Iterator[list[int]]:
    """Split rows into groups that pad little.

    Args:
        lengths: Tokens in each row.
        waste: Largest share of padding in a group.

    Yields:
        Row numbers of one group, longest first.
    """
    group: list[int] = []
    filled = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        padded = (len(group) + 1) * lengths[group[0] if group else row]
        if group and filled + lengths[row] < (1 - waste) * padded:
            yield group
            group, filled = [], 0
        group.append(row)
        filled += lengths[row]
    if group:
        yield group


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

    def forward(self, embeds_BLD: Tensor, length_B: Tensor, shared: int = 0) -> Tensor:
        """Run rows that begin alike.

        Args:
            embeds_BLD: Embedded tokens.
            length_B: Tokens in each row.
            shared: Leading tokens that all rows have in common; they are computed once.

        Returns:
            The normed hidden state of each row's last token, (B, D).
        """
        head_dim = self.config.width // self.config.heads
        angle_LF = _line_angles(embeds_BLD.shape[1], head_dim, self.config.rope_theta)
        angle_LF = torch.cat((angle_LF, angle_LF), dim=-1).to(embeds_BLD.device)
        rotation = (angle_LF.cos(), angle_LF.sin())
        if len(length_B) == 1:
            shared = 0
        prefix_1SD, rest_BRD = embeds_BLD[:1, :shared], embeds_BLD[:, shared:]
        for layer in self.layers[:-1]:
            if self.checkpointing and self.training:
                state = checkpoint(layer, prefix_1SD, rest_BRD, rotation, use_reentrant=False)
                prefix_1SD, rest_BRD = state
            else:
                prefix_1SD, rest_BRD = layer(prefix_1SD, rest_BRD, rotation)
        last: DecoderLayer = self.layers[-1]  # type: ignore[assignment]
        return self.norm(last.pooled(prefix_1SD, rest_BRD, rotation, length_B))


class DecoderLayer(nn.Module):
    """Pre-norm causal attention and gated MLP, over a shared prefix and the rows' own rest."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.self_attn = CausalAttention(config)
        self.mlp = GatedMlp(config)
        self.input_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)

    def forward(
        self, prefix_1SD: Tensor, rest_BRD: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the prefix (1, S, D) and the rest (B, R, D)."""
        normed = self.input_layernorm(prefix_1SD), self.input_layernorm(rest_BRD)
        prefix, rest = self.self_attn(*normed, rotation)
        return self._feed(prefix_1SD + prefix), self._feed(rest_BRD + rest)

    def pooled(
        self,
        prefix_1SD: Tensor,
        rest_BRD: Tensor,
        rotation: tuple[Tensor, Tensor],
        length_B: Tensor,
    ) -> Tensor:
        """Run the layer for each row's last token only and return (B, D)."""
        rows = torch.arange(len(length_B), device=rest_BRD.device)
        normed = self.input_layernorm(prefix_1SD), self.input_layernorm(rest_BRD)
        attended_BD = self.self_attn.last(*normed, rotation, length_B)
        return self._feed(rest_BRD[rows, length_B - 1 - prefix_1SD.shape[1]] + attended_BD)

    def _feed(self, hidden: Tensor) -> Tensor:
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
        self, prefix_1SD: Tensor, rest_BRD: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the prefix (1, S, D) and the rest (B, R, D)."""
        shared, own = prefix_1SD.shape[1], rest_BRD.shape[1]
        before = tuple(part[:shared] for part in rotation)
        after = tuple(part[shared:] for part in rotation)
        key_BHLF, value_BHLF, prefix_key, prefix_value = self._keys(prefix_1SD, rest_BRD, rotation)
        query = rotate(self._heads(self.q_proj(rest_BRD)), *after)
        if not shared:
            rest = F.scaled_dot_product_attention(query, key_BHLF, value_BHLF, is_causal=True)
            return prefix_1SD, self._out(rest)
        seen_RL = torch.ones(own, shared + own, dtype=torch.bool, device=query.device).tril(shared)
        rest = F.scaled_dot_product_attention(query, key_BHLF, value_BHLF, attn_mask=seen_RL)
        query = rotate(self._heads(self.q_proj(prefix_1SD)), *before)
        prefix = F.scaled_dot_product_attention(query, prefix_key, prefix_value, is_causal=True)
        return self._out(prefix), self._out(rest)

    def last(
        self,
        prefix_1SD: Tensor,
        rest_BRD: Tensor,
        rotation: tuple[Tensor, Tensor],
        length_B: Tensor,
    ) -> Tensor:
        """Attend from each row's last token only and return (B, D)."""
        rows = torch.arange(len(length_B), device=rest_BRD.device)
        last_B = length_B - 1
        cos, sin = (part[last_B][:, None, None] for part in rotation)
        last_B1D = rest_BRD[rows, last_B - prefix_1SD.shape[1]][:, None]
        query_BH1F = rotate(self._heads(self.q_proj(last_B1D)), cos, sin)
        key_BHLF, value_BHLF, *_ = self._keys(prefix_1SD, rest_BRD, rotation)
        seen_BL = torch.arange(key_BHLF.shape[2], device=rows.device) <= last_B[:, None]
        out = F.scaled_dot_product_attention(
            query_BH1F, key_BHLF, value_BHLF, attn_mask=seen_BL[:, None, None]
        )
        return self._out(out)[:, 0]

    def _heads(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _out(self, states_BHLF: Tensor) -> Tensor:
        return self.o_proj(states_BHLF.transpose(1, 2).flatten(2))

    def _keys(
        self, prefix_1SD: Tensor, rest_BRD: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Keys and values of whole rows (B, H, L, F), and of the prefix alone (1, H, S, F)."""
        shared = prefix_1SD.shape[1]
        parts = []
        for hidden, span in ((prefix_1SD, slice(shared)), (rest_BRD, slice(shared, None))):
            turn = (part[span] for part in rotation)
            key = rotate(self._heads(self.k_proj(hidden)), *turn)
            value = self._heads(self.v_proj(hidden))
            parts.append(tuple(states.repeat_interleave(self.groups, 1) for states in (key, value)))
        (prefix_key, prefix_value), (key, value) = parts
        if shared:
            count = len(rest_BRD)
            key = torch.cat((prefix_key.expand(count, -1, -1, -1), key), dim=2)
            value = torch.cat((prefix_value.expand(count, -1, -1, -1), value), dim=2)
        return key, value, prefix_key, prefix_value


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.up_proj = nn.Linear(config.width, config.mlp_width, bias=False)
        self.down_proj = nn.Linear(config.mlp_width, config.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the input's shape."""
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


@lru_cache(maxsize=64)
def _line_angles(length: int, head_dim: int, theta: float) -> Tensor:
    frequency_F = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    return torch.outer(torch.arange(length, dtype=torch.float32), frequency_F)
