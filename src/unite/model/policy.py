"""All that shapes a vector besides the weights, kept with every model as `unite.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from unite.errors import CheckpointError, did_you_mean
from unite.media.pixels import PixelPolicy
from unite.media.video import FramePolicy
from unite.model.config import BackboneConfig, LaterConfig
from unite.model.files import read_json

POLICY_FILE = "unite.json"
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
"""Where transformers 5, and what came before it, keep how pictures are normalised."""
_KNOWN = {"prompt": ("one-word",), "positions": ("1d", "mrope"), "pooling": ("last", "mean")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How items become tokens and tokens one vector.

    Attributes:
        pixels: Both resize steps and the normalisation.
        frames: Which frames of a clip are seen.
        max_tokens: The longest input the model takes.
        prompt: The name of the prompt; `one-word` is the paper's.
        positions: `1d`: plain 0..L-1, as the released weights were trained; `mrope`: Qwen's own.
        pooling: `last`: the hidden state of the last token; `mean`: the mean over an item's tokens.
        mixed_gallery: Whether scores of candidates of different modalities are on one scale;
            False for a model whose training never compared them: by the mask of MAMCL, or because
            every batch held one target modality.
        small_world: Whether the model knows nothing but the small world.
        matryoshka: Shorter lengths at which its first coordinates were trained to be a vector too.
    """

    pixels: PixelPolicy
    frames: FramePolicy
    max_tokens: int = 32768
    prompt: str = "one-word"
    positions: str = "1d"
    pooling: str = "last"
    mixed_gallery: bool = False
    small_world: bool = False
    matryoshka: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            if getattr(self, name) not in known:
                raise CheckpointError(
                    f"The model's {name} is {getattr(self, name)!r}; this version knows "
                    f"{' and '.join(known)}.",
                    "Update the package.",
                )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back.

        Without shorter lengths their key is left out: ids of models that never had it stay.
        """
        row = asdict(self)
        if not self.matryoshka:
            del row["matryoshka"]
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Policy:
        """Read what `to_json` wrote.

        Raises:
            CheckpointError: An unknown key, or a value that does not fit.
        """
        known = {field.name for field in fields(cls)}
        unknown = [key for key in row if key not in known]
        if unknown:
            raise CheckpointError(
                f"Unknown key {unknown[0]!r} in {POLICY_FILE}.", did_you_mean(unknown[0], known)
            )
        try:
            pixels = PixelPolicy(**_tuples(row["pixels"]))
            frames = FramePolicy(**row["frames"])
            lengths = tuple(int(length) for length in row.get("matryoshka", ()))
            return cls(**{**row, "pixels": pixels, "frames": frames, "matryoshka": lengths})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{POLICY_FILE} does not hold a whole policy: {error}."
            ) from error

    def with_frames(
        self,
        nframes: int | None = None,
        fps: float | None = None,
        max_frames: int | None = None,
    ) -> Policy:
        """The same policy with another choice of frames; None keeps what stands."""
        now = self.frames
        frames = replace(
            now,
            nframes=now.nframes if nframes is None else nframes,
            fps=now.fps if fps is None else fps,
            max_frames=now.max_frames if max_frames is None else max_frames,
            min_frames=now.min_frames if max_frames is None else min(now.min_frames, max_frames),
        )
        if nframes is None and (fps is not None or max_frames is not None):
            frames = replace(frames, nframes=None)
        return replace(self, frames=frames)


def read_policy(directory: Path, config: BackboneConfig | LaterConfig) -> Policy:
    """Read a model directory's policy.

    A checkpoint without one gets the default of its backbone: Qwen2-VL the published policy of
    UNITE; later backbones the same numbers of visual tokens, their own patches and normalisation,
    and M-RoPE, with which they were pretrained.

    Args:
        directory: The model directory.
        config: Its backbone.

    Raises:
        CheckpointError: The file does not hold a policy.
    """
    path = directory / POLICY_FILE
    if path.exists():
        return Policy.from_json(read_json(path))
    if isinstance(config, BackboneConfig):
        return Policy(pixels=PixelPolicy(), frames=FramePolicy(), max_tokens=config.max_positions)
    return Policy(
        pixels=_scaled_pixels(directory, config),
        frames=FramePolicy(),
        max_tokens=config.max_positions,
        positions="mrope",
    )


def _scaled_pixels(directory: Path, config: LaterConfig) -> PixelPolicy:
    """The published limits in visual tokens, for tokens of another size."""
    published = PixelPolicy()
    scale = (config.patch_size * config.merge_size / published.factor) ** 2
    limits = {
        field.name: round(getattr(published, field.name) * scale)
        for field in fields(PixelPolicy)
        if field.name.endswith("_pixels")
    }
    there = (directory / name for name in _PROCESSOR_FILES)
    processor = read_json(path) if (path := next(filter(Path.exists, there), None)) else {}
    processor = processor.get("image_processor", processor)
    return PixelPolicy(
        **limits,
        patch_size=config.patch_size,
        merge_size=config.merge_size,
        temporal_patch_size=config.temporal_patch_size,
        mean=tuple(processor.get("image_mean", published.mean)),
        std=tuple(processor.get("image_std", published.std)),
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
