"""What a step costs, estimated from shapes and lengths: FLOPs, and the memory of one process.

A product of (a, b) and (b, c) counts 2abc. What is left out, as it is a few per cent of a wide
model: norms, activations, rotations, the adapters' own products, and that tokens which all items
of a chunk begin with are computed once.

Letters: D width, K width of keys and values, M inner width of an MLP, L tokens of an item, W width
of the vision tower.
"""

from __future__ import annotations

from dataclasses import dataclass

from unite.loss.strips import CACHED_BYTES, ROWS
from unite.loss.two_way import KEPT_BYTES
from unite.model.config import BackboneConfig
from unite.training.recipe import Recipe

_ADAPTER_COPY = 5
"""Bytes that an adapter keeps of each input: its copy in fp32 and one byte of dropout's mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a batch consists of; sums over its items.

    Attributes:
        items: Queries, candidates and hard negatives.
        tokens: Of all items.
        visual: Those of them that stand for pixels.
        squares: Σ L² over the items.
        slices: Σ over patches of the patches in their temporal slice, which they attend to.
    """

    items: float
    tokens: float
    visual: float
    squares: float
    slices: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunking:
    """How a batch lies on processes.

    Attributes:
        tokens: Of the process with the most.
        chunks: Of the process with the most; 1: there is no second pass.
        largest: Tokens of the largest chunk.
    """

    tokens: int
    chunks: int
    largest: int


@dataclass(frozen=True, slots=True)
class Flops:
    """Of a global batch, forward and backward."""

    language: float
    vision: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the process that has the most to do.

    Attributes:
        weights: Of the network, in the recipe's dtype; each process holds all (DDP, ZeRO-1).
        training: Gradients and AdamW's two moments of what is trained, and the adapters in fp32.
        activations: What the layers keep for the backward pass over the largest chunk.
        kept: Visual tokens (of a frozen tower) or pixels between the two passes.
        loss: Gathered vectors, their gradients, and strips of scores.
    """

    weights: int
    training: int
    activations: int
    kept: int
    loss: int

    @property
    def total(self) -> int:
        """Without the workspace of single operations and the allocator's own waste."""
        return self.weights + self.training + self.activations + self.kept + self.loss


def flops(config: BackboneConfig, load: Load, recipe: Recipe, chunking: Chunking) -> Flops:
    """FLOPs of a global batch.

    Backward costs a linear map once its forward pass where its weight is frozen (the gradient of
    its input), twice where it is trained; attention twice. More than one chunk, or gradient
    checkpointing, adds a forward pass of the language model. A frozen vision tower runs forward
    once, and once more for what `keep_bytes` could not hold; it has no backward pass. A cache of
    visual tokens would save what it holds of this.
    """
    frozen = recipe.model.lora is not None
    forwards = 2 if chunking.chunks > 1 or recipe.run.gradient_checkpointing else 1
    linear, attention = language_forward(config, load)
    language = linear * (forwards + (1 if frozen else 2)) + attention * (forwards + 2)
    if frozen:
        share = load.visual / max(load.tokens, 1)
        wanted = _visual_bytes(config, recipe, chunking.tokens * share)
        lost = 1 - min(1.0, recipe.run.keep_bytes / wanted) if wanted else 0.0
        passes = 1 + (lost if chunking.chunks > 1 else 0.0)
    else:
        passes = 2 + (2 if chunking.chunks > 1 else 1)
    return Flops(language, vision_forward(config, load) * passes)


def language_forward(config: BackboneConfig, load: Load) -> tuple[float, float]:
    """FLOPs of one forward pass: linear maps, and attention.

    Causal attention sees half of L² in each of its two products. The last layer computes keys and
    values of all tokens, the rest for the last token of each item.
    """
    width, mlp = config.width, config.mlp_width
    narrow = config.kv_heads * (width // config.heads)
    keys = 2 * 2 * width * narrow
    others = 2 * (2 * width**2 + 3 * width * mlp)
    whole = config.depth - 1
    linear = whole * load.tokens * (keys + others) + load.tokens * keys + load.items * others
    attention = whole * 2 * width * load.squares + 4 * width * load.tokens
    return linear, attention


def vision_forward(config: BackboneConfig, load: Load) -> float:
    """FLOPs of the vision tower over all patches: embedding, blocks, merger."""
    vision = config.vision
    width, joined = vision.width, vision.width * vision.merge_size**2
    patches = load.visual * vision.merge_size**2
    block = 2 * (4 * width**2 + 2 * width * vision.mlp_width)
    return (
        patches * (2 * vision.patch_values * width + vision.depth * block)
        + vision.depth * 4 * width * load.slices
        + load.visual * 2 * (joined**2 + joined * vision.out_width)
    )


def memory(config: BackboneConfig, load: Load, recipe: Recipe, chunking: Chunking) -> Memory:
    """Memory of one process; see `Memory` for what counts.

    Adapters, their gradients and moments are fp32, 16 bytes a parameter; trained weights have
    gradient and moments in their own dtype. FSDP would divide weights and training by the
    processes, ZeRO-1 the moments.
    """
    size, language, vision = _bytes_each(recipe), *count_parameters(config)
    lora = recipe.model.lora
    if lora is not None:
        training = 16 * adapter_parameters(config, lora.rank)
    else:
        training = 3 * size * (language + vision)
    share = load.visual / max(load.tokens, 1)
    wanted = _visual_bytes(config, recipe, chunking.tokens * share)
    return Memory(
        weights=size * (language + vision),
        training=training,
        activations=round(activation_bytes(config, recipe, chunking.largest, share)),
        kept=round(min(recipe.run.keep_bytes, wanted)) if chunking.chunks > 1 else 0,
        loss=_loss_bytes(config, load, recipe),
    )


def activation_bytes(
    config: BackboneConfig, recipe: Recipe, tokens: float, visual_share: float
) -> float:
    """What the backward pass over some tokens needs of the forward pass.

    A layer keeps for a token, in values of the dtype: the inputs of both norms (2D), queries,
    keys, values (spread over all heads) and attention's result (4D), and the three inner vectors
    of the MLP (3M). With adapters, the input of each of seven maps in fp32 and a mask (6D + M),
    and their inner vectors. Without, the maps' inputs, which some of them share (3D + M), and of
    the vision tower 9W + 3M a patch and block, and the pixels. The last layer runs for single
    tokens and is left out. With gradient checkpointing: the layers' inputs, and one layer.
    """
    size, width, mlp = _bytes_each(recipe), config.width, config.mlp_width
    layer = size * (6 * width + 3 * mlp)
    lora = recipe.model.lora
    if lora is not None:
        layer += (_ADAPTER_COPY if lora.dropout else 4) * (6 * width + mlp) + 7 * 4 * lora.rank
        vision = 0
    else:
        layer += size * (3 * width + mlp)
        tower = config.vision
        patch = tower.depth * (9 * tower.width + 3 * tower.mlp_width) + tower.patch_values
        vision = size * patch * tower.merge_size**2
    layers = config.depth - 1
    if recipe.run.gradient_checkpointing:
        per_token = layers * size * width + layer
    else:
        per_token = layers * layer
    return tokens * (per_token + visual_share * vision)


def count_parameters(config: BackboneConfig) -> tuple[int, int]:
    """Of the language model without its head, and of the vision tower with its projector."""
    from unite.model.checkpoint import build_encoder

    encoder = build_encoder(config, "1d")
    language, vision = (
        sum(part.numel() for part in network.parameters())
        for network in (encoder.model, encoder.visual)
    )
    return language, vision


def adapter_parameters(config: BackboneConfig, rank: int) -> int:
    """Of both halves on the seven maps of every layer."""
    width, mlp = config.width, config.mlp_width
    narrow = config.kv_heads * (width // config.heads)
    sides = 2 * (width + width) + 2 * (width + narrow) + 3 * (width + mlp)
    return config.depth * rank * sides


def _visual_bytes(config: BackboneConfig, recipe: Recipe, visual: float) -> float:
    """What sparing the second pass some work would take: visual tokens, or pixels in fp32."""
    if recipe.model.lora is not None:
        return visual * config.vision.out_width * _bytes_each(recipe)
    return visual * config.vision.merge_size**2 * config.vision.patch_values * 4


def _loss_bytes(config: BackboneConfig, load: Load, recipe: Recipe) -> int:
    """All candidates and negatives with their gradients in fp32, and a few strips of scores."""
    batch = recipe.optimiser.batch_size
    vectors = 2 * 4 * config.width * load.items
    scores = 4 * batch * (load.items - batch)
    strips = min(2 * max(CACHED_BYTES, 4 * ROWS * (load.items - batch)), scores)
    kept = min(KEPT_BYTES, scores) if recipe.loss.symmetric else 0
    return round(vectors + strips + kept)


def _bytes_each(recipe: Recipe) -> int:
    return 2 if recipe.model.dtype == "bfloat16" else 4
