"""Qwen2.5-VL and Qwen3-VL, and Qwen2-VL with M-RoPE, by transformers' own modules.

For training models of our own on them. Slower than our own forward pass over Qwen2-VL, which
serves the released weights: no shared prefix, every layer for every token.

Shapes: P patches, K values a patch, B rows, L tokens, V visual tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from unite.model.config import LaterConfig
from unite.model.vision import Grid, in_order, is_trained, visual_tokens


class LaterQwenEncoder(nn.Module):
    """Vision tower, language model and last-token pooling of a Qwen-VL of transformers.

    Parameters are named as in Qwen2-VL's checkpoints: `visual.…` and `model.…`.

    Args:
        config: The backbone.
        positions: `mrope`: rows, columns and slices of a medium have places of their own, as these
            backbones were pretrained; `1d`: plain 0..L-1.
        pooling: `last` token, or the `mean` over a row's tokens.
    """

    def __init__(
        self, config: LaterConfig, positions: str = "mrope", pooling: str = "last"
    ) -> None:
        super().__init__()
        self.config = config
        self.positions = positions
        self.pooling = pooling
        row = {key: value for key, value in config.row.items() if key != "model_type"}
        kind = AutoConfig.for_model(config.row["model_type"], **row)
        whole = AutoModel.from_config(kind, attn_implementation="sdpa")
        self.visual = whole.visual
        self.model = whole.language_model

    def forward(
        self,
        input_ids_BL: Tensor,
        length_B: Tensor,
        patches_PK: Tensor | None = None,
        grids: Sequence[Grid] = (),
        media: Sequence[int] | None = None,
        seen: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Embed right-padded rows; arguments and result as `Qwen2VLEncoder`'s.

        Raises:
            ValueError: Visual tokens and patches differ in number.
        """
        media = range(len(grids)) if media is None else media
        embeds_BLD = self.model.embed_tokens(input_ids_BL)
        pads = self.config.image_token_id, self.config.video_token_id
        visual_BL, sizes = visual_tokens(input_ids_BL, pads, grids, media, self.config.merge_size)
        extra: dict[str, Any] = {}
        if len(grids) and (seen is not None or patches_PK is not None):
            tokens = self.see(patches_PK, grids) if seen is None else seen  # type: ignore[arg-type]
            first_VD, *deep = in_order(torch.cat(list(tokens)), sizes, media).split(
                self.config.width, dim=-1
            )
            embeds_BLD = embeds_BLD.masked_scatter(visual_BL[..., None], first_VD)
            if deep:
                extra = {"visual_pos_masks": visual_BL, "deepstack_visual_embeds": deep}
        elif self.training and torch.is_grad_enabled() and is_trained(self.visual):
            embeds_BLD = embeds_BLD + self._untouched()
        places_L = torch.arange(input_ids_BL.shape[1], device=input_ids_BL.device)
        positions = places_L.expand(len(input_ids_BL), -1)
        if self.positions == "mrope":
            shown = [grids[number] for number in media]
            positions = mrope_positions(visual_BL, shown, self.config.merge_size)
        out = self.model(
            inputs_embeds=embeds_BLD,
            attention_mask=(places_L < length_B[:, None]).long(),
            position_ids=positions,
            use_cache=False,
            **extra,
        )
        if self.pooling == "mean":
            inside_BL1 = (places_L < length_B[:, None])[..., None]
            summed_BD: Tensor = (out.last_hidden_state * inside_BL1).sum(1)
            return summed_BD / length_B[:, None]
        rows = torch.arange(len(length_B), device=length_B.device)
        pooled_BD: Tensor = out.last_hidden_state[rows, length_B - 1]
        return pooled_BD

    def see(self, patches_PK: Tensor, grids: Sequence[Grid]) -> list[Tensor]:
        """The visual tokens of each medium (V, D), side by side with those for deeper layers."""
        kind = self.model.embed_tokens.weight.dtype
        grid_thw = torch.tensor(grids, device=patches_PK.device)
        found = self.visual(patches_PK.to(kind), grid_thw=grid_thw)
        deep = getattr(found, "deepstack_features", None) or ()
        tokens_VD = torch.cat((found.pooler_output, *deep), dim=-1)
        merged = self.config.merge_size**2
        return list(tokens_VD.split([t * h * w // merged for t, h, w in grids]))

    def save_memory(self) -> None:
        """Compute each layer of the language model again in the backward pass."""
        self.model.gradient_checkpointing_enable({"use_reentrant": False})

    def _untouched(self) -> Tensor:
        """A zero that depends on the vision tower: see `Qwen2VLEncoder`."""
        side = self.config.merge_size
        values = 3 * self.config.temporal_patch_size * self.config.patch_size**2
        patches_PK = next(self.visual.parameters()).new_zeros(side**2, values)
        return 0.0 * self.see(patches_PK, [(1, side, side)])[0].sum()


def mrope_positions(visual_BL: Tensor, grids: Sequence[Grid], merge: int) -> Tensor:
    """Multimodal positions of Qwen2-VL (its paper, section 2.1).

    Text counts on by one on all three axes. A medium's tokens have their slice, row and column,
    counted from the place after the text before it; what follows goes on after the largest.

    Args:
        visual_BL: Which tokens are visual; media never touch, their tags are between them.
        grids: Grids of the media in order of appearance.
        merge: Side of the square of patches that is one token.

    Returns:
        Slice, row and column of every token, (3, B, L); padding counts on like text.
    """
    shown = iter(grids)
    rows = [torch.cat(list(_line(row, shown, merge)), dim=1) for row in visual_BL.tolist()]
    return torch.stack(rows, dim=1).to(visual_BL.device)


def _line(visual_L: Sequence[bool], grids: Iterator[Grid], merge: int) -> Iterator[Tensor]:
    start = 0
    for visual, run in groupby(visual_L):
        if visual:
            slices, rows, columns = next(grids)
            axes = (torch.arange(size) for size in (slices, rows // merge, columns // merge))
            place_3V = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1) + start
        else:
            place_3V = torch.arange(start, start + len(list(run))).expand(3, -1)
        start = int(place_3V.max()) + 1
        yield place_3V
