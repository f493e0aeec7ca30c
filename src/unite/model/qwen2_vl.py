"""Qwen2-VL as an encoder: tokens and patches in, one vector an item out.

Our own forward pass over Qwen2-VL's modules. Parameter names are those of the
checkpoints, so weights load without renaming; the vectors equal transformers' to 1e-5
(tested). It differs in five exact ways, each for speed: no lm_head; one attention call for
all temporal slices of equal length; rows are packed without padding; tokens that all rows begin
with are computed once; the last layer runs for the pooled token only. Nor does it import
transformers, which alone takes longer than a whole search may.

Shapes: P patches, K values a patch, B rows, L tokens, T packed tokens, V visual ones, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unite.model.config import BackboneConfig
from unite.model.language import LanguageModel, Past
from unite.model.packing import Packing, shared_prefix
from unite.model.vision import Grid, VisionTower, in_order, is_trained, visual_tokens


@dataclass(frozen=True, slots=True)
class Prefix:
    """Leading tokens that many rows have in common, computed once.

    Attributes:
        length: How many they are.
        pasts: Their keys and values in each layer.
    """

    length: int
    pasts: Sequence[Past]


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
        prefix: Prefix | None = None,
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
            prefix: What `remember` gave for the tokens with which all rows begin.

        Returns:
            Hidden state of each row's last token after the final norm, (B, D), not normalised.

        Raises:
            ValueError: Visual tokens and patches differ in number.
        """
        media = range(len(grids)) if media is None else media
        pads = self.config.image_token_id, self.config.video_token_id
        visual_BL, sizes = visual_tokens(
            input_ids_BL, pads, grids, media, self.config.vision.merge_size
        )
        lengths, width = length_B.tolist(), input_ids_BL.shape[1]
        shared = shared_prefix(input_ids_BL, length_B, visual_BL) if len(lengths) > 1 else 0
        cached = 0 if prefix is None else prefix.length
        packing = Packing.of(lengths, width, shared, input_ids_BL.device, cached)
        embeds_TD = self.model.embed_tokens(input_ids_BL.flatten()[packing.source_T])
        if len(grids) and (seen is not None or patches_PK is not None):
            vision_VD = in_order(
                torch.cat(list(seen)) if seen is not None else self.visual(patches_PK, grids),
                sizes,
                media,
            )
            visual_L = visual_BL.flatten()
            number_T = (visual_L.cumsum(0) - 1)[packing.source_T]
            place_V = visual_L[packing.source_T].nonzero()[:, 0]
            vision_VD = vision_VD.to(embeds_TD.dtype).index_select(0, number_T[place_V])
            embeds_TD = embeds_TD.index_copy(0, place_V, vision_VD)
        elif self.training and torch.is_grad_enabled() and is_trained(self.visual):
            embeds_TD = embeds_TD + self._untouched()
        pooled_BD: Tensor = self.model(embeds_TD, packing, prefix and prefix.pasts)
        return pooled_BD

    def remember(self, input_ids_S: Tensor) -> Prefix:
        """Compute tokens that rows to come will begin with; none of them may be visual."""
        with torch.no_grad():
            pasts = self.model.remember(self.model.embed_tokens(input_ids_S))
        return Prefix(len(input_ids_S), pasts)

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
