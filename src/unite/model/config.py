"""What a backbone looks like, read from the `config.json` of a checkpoint.

Three spellings of Qwen2-VL occur: the flat one of transformers 4 (`model_type` `qwen2_vl` or
`unite_qwen2_vl`), its variant whose nested vision part repeats the model type, and the
one of transformers 5 with a `text_config`. Later Qwen backbones keep their `config.json` as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unite.errors import CheckpointError, did_you_mean

MODEL_TYPES = ("qwen2_vl", "unite_qwen2_vl")
LATER_TYPES = ("qwen2_5_vl", "qwen3_vl")
_PATCH = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}
_VOLATILE = ("transformers_version", "torch_dtype", "dtype", "architectures")


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """The vision tower: its width, depth and grid of patches."""

    depth: int
    width: int
    heads: int
    mlp_width: int
    out_width: int
    patch_size: int = 14
    temporal_patch_size: int = 2
    merge_size: int = 2
    channels: int = 3

    @property
    def patch_values(self) -> int:
        """Numbers in one flattened patch."""
        return self.channels * self.temporal_patch_size * self.patch_size**2


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneConfig:
    """The language model and its vision tower."""

    width: int
    mlp_width: int
    depth: int
    heads: int
    kv_heads: int
    vocabulary: int
    max_positions: int
    image_token_id: int
    video_token_id: int
    vision: VisionConfig
    rope_theta: float = 1e6
    norm_eps: float = 1e-6
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads or self.heads % self.kv_heads:
            raise CheckpointError(
                f"Width {self.width}, {self.heads} heads and {self.kv_heads} key/value heads "
                "do not divide one another.",
                "Check hidden_size, num_attention_heads and num_key_value_heads in config.json.",
            )

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> BackboneConfig:
        """Read a parsed `config.json`.

        Raises:
            CheckpointError: The model is of another kind, or a value is missing.
        """
        kind = config.get("model_type")
        if kind not in MODEL_TYPES:
            raise CheckpointError(
                f"The model type {kind!r} is not supported.",
                did_you_mean(str(kind), (*MODEL_TYPES, *LATER_TYPES)),
            )
        text = {**config, **config.get("text_config", {})}
        rope = {**(text.get("rope_scaling") or {}), **(text.get("rope_parameters") or {})}
        _refuse_variants(text, rope, config.get("vision_config") or {})
        try:
            return cls(
                width=text["hidden_size"],
                mlp_width=text["intermediate_size"],
                depth=text["num_hidden_layers"],
                heads=text["num_attention_heads"],
                kv_heads=text["num_key_value_heads"],
                vocabulary=text["vocab_size"],
                max_positions=text.get("max_position_embeddings", 32768),
                image_token_id=config["image_token_id"],
                video_token_id=config["video_token_id"],
                vision=_vision(config["vision_config"], text["hidden_size"]),
                rope_theta=text.get("rope_theta", rope.get("rope_theta", 1e6)),
                norm_eps=text.get("rms_norm_eps", 1e-6),
                tie_word_embeddings=config.get("tie_word_embeddings", True),
            )
        except KeyError as error:
            raise CheckpointError(
                f"config.json lacks {error.args[0]!r}.", "The checkpoint is incomplete."
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Write the flat spelling, which transformers of any version reads."""
        vision = self.vision
        half = self.width // self.heads // 2
        return {
            "architectures": ["Qwen2VLForConditionalGeneration"],
            "model_type": "qwen2_vl",
            "hidden_size": self.width,
            "intermediate_size": self.mlp_width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.max_positions,
            "image_token_id": self.image_token_id,
            "video_token_id": self.video_token_id,
            "rope_theta": self.rope_theta,
            "rope_scaling": {
                "type": "mrope",
                "mrope_section": [half // 4, half * 3 // 8, half - half // 4 - half * 3 // 8],
            },
            "rms_norm_eps": self.norm_eps,
            "tie_word_embeddings": self.tie_word_embeddings,
            "vision_config": {
                "model_type": "qwen2_vl",
                "depth": vision.depth,
                "embed_dim": vision.width,
                "num_heads": vision.heads,
                "mlp_ratio": vision.mlp_width // vision.width,
                "hidden_size": vision.out_width,
                "patch_size": vision.patch_size,
                "spatial_patch_size": vision.patch_size,
                "temporal_patch_size": vision.temporal_patch_size,
                "spatial_merge_size": vision.merge_size,
                "in_channels": vision.channels,
            },
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class LaterConfig:
    """A Qwen2.5-VL or Qwen3-VL backbone, or Qwen2-VL with M-RoPE: what transformers builds from it.

    Attributes:
        row: Its `config.json`, without what does not shape the network.
    """

    row: Mapping[str, Any]
    width: int
    max_positions: int
    image_token_id: int
    video_token_id: int
    patch_size: int
    temporal_patch_size: int
    merge_size: int

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> LaterConfig:
        """Read a parsed `config.json`.

        Raises:
            CheckpointError: A value is missing.
        """
        text = {**config, **config.get("text_config", {})}
        vision = config.get("vision_config", {})
        try:
            return cls(
                row={key: value for key, value in config.items() if key not in _VOLATILE},
                width=text["hidden_size"],
                max_positions=text.get("max_position_embeddings", 32768),
                image_token_id=config["image_token_id"],
                video_token_id=config["video_token_id"],
                patch_size=vision.get("patch_size", _PATCH[config["model_type"]]),
                temporal_patch_size=vision.get("temporal_patch_size", 2),
                merge_size=vision.get("spatial_merge_size", 2),
            )
        except KeyError as error:
            raise CheckpointError(
                f"config.json lacks {error.args[0]!r}.", "The checkpoint is incomplete."
            ) from error

    def to_json(self) -> dict[str, Any]:
        """The `config.json` it was read from."""
        return dict(self.row)


def read_config(config: Mapping[str, Any]) -> BackboneConfig | LaterConfig:
    """Read the `config.json` of any backbone that is known.

    Raises:
        CheckpointError: The model is of another kind, or a value is missing.
    """
    later = config.get("model_type") in LATER_TYPES
    return LaterConfig.from_json(config) if later else BackboneConfig.from_json(config)


def _refuse_variants(
    text: Mapping[str, Any], rope: Mapping[str, Any], vision: Mapping[str, Any]
) -> None:
    """Refuse what would give other vectors than the network that these weights belong to."""
    slides = text.get("use_sliding_window") and (
        text.get("max_window_layers", 0) < text.get("num_hidden_layers", 0)
    )
    found = {
        "hidden_act": text.get("hidden_act") or "silu",
        "hidden_act of vision_config": vision.get("hidden_act") or "quick_gelu",
        "rope_scaling": rope.get("rope_type") or rope.get("type") or "default",
        "use_sliding_window": bool(slides),
    }
    known: dict[str, tuple[object, ...]] = {
        "hidden_act": ("silu",),
        "hidden_act of vision_config": ("quick_gelu",),
        "rope_scaling": ("default", "mrope"),
        "use_sliding_window": (False,),
    }
    for key, value in found.items():
        if value not in known[key]:
            raise CheckpointError(
                f"config.json has {key} {value!r}, which Qwen2-VL's released weights do not have.",
                f"Known: {', '.join(map(repr, known[key]))}.",
            )
    heads = text.get("num_attention_heads")
    side = text.get("head_dim")
    if side is not None and heads and side * heads != text.get("hidden_size"):
        raise CheckpointError(
            f"config.json has heads of {side}, which {heads} of them do not make a width of "
            f"{text.get('hidden_size')}.",
            "Only heads that share the width are supported.",
        )


def _vision(vision: Mapping[str, Any], out_width: int) -> VisionConfig:
    width = vision.get("embed_dim", 1280)
    return VisionConfig(
        depth=vision.get("depth", 32),
        width=width,
        heads=vision.get("num_heads", 16),
        mlp_width=int(width * vision.get("mlp_ratio", 4)),
        out_width=vision.get("hidden_size", out_width),
        patch_size=vision.get("patch_size", vision.get("spatial_patch_size", 14)),
        temporal_patch_size=vision.get("temporal_patch_size", 2),
        merge_size=vision.get("spatial_merge_size", 2),
        channels=vision.get("in_channels", vision.get("in_chans", 3)),
    )
