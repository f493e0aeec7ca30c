"""Low-rank adapters (LoRA): put into a network to train it, or read and added to its weights.

Reading goes tensor by tensor, so that merging into a large model needs the memory of one matrix;
peft, which trains the adapters, would want the whole network.

Shapes: O rows of a weight, I columns, R the rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.errors import CheckpointError
from unite.model.files import canonical, read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
# Of the language model alone: Qwen2.5-VL's vision tower has projections of the same names.
_TARGETS = r"model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
_PART = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)(?:\.default)?\.weight")
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "alora_invocation_tokens": ([], None),
    "layer_replication": ([], None),
    "use_qalora": (False, None),
    # All others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take something off the base's weights when
    # training begins; added to the base as it was, their matrices are too much.
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva", "mica"),
}


def add_adapters(encoder: nn.Module, rank: int, alpha: int, dropout: float) -> Any:
    """Freeze a network and put adapters into its language model.

    Returns:
        The network under peft, which can merge them.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=_TARGETS)
    return get_peft_model(encoder, config)


@dataclass(frozen=True)
class Adapter:
    """The matrices of an adapter in peft's format.

    Attributes:
        directory: Where it was read from.
        base: The model that it was trained on, as it says itself; may be a path of another machine.
        scale: What the product of the two matrices is multiplied with.
        pairs: A (R, I) and B (O, R), by the canonical name of the weight they change.
    """

    directory: Path
    base: str
    scale: float
    pairs: dict[str, tuple[Tensor, Tensor]]

    def changed(self, name: str, weight: Tensor) -> Tensor:
        """A weight with what the adapter adds to it, in fp32; others as they are.

        Args:
            name: Canonical.
            weight: (O, I).

        Raises:
            CheckpointError: It is of another shape than the adapter's product.
        """
        pair = self.pairs.get(name)
        if pair is None:
            return weight
        a_RI, b_OR = (part.float() for part in pair)
        if weight.shape != (b_OR.shape[0], a_RI.shape[1]):
            raise CheckpointError(
                f"The adapter {self.directory} changes {name} as "
                f"{(b_OR.shape[0], a_RI.shape[1])}, but it is {tuple(weight.shape)}.",
                "Use the model that it was trained on.",
            )
        return weight.float() + self.scale * (b_OR @ a_RI)

    def check_used(self, names: Iterable[str]) -> None:
        """Refuse a model that lacks weights which the adapter changes.

        Args:
            names: The model's canonical names.

        Raises:
            CheckpointError: One is missing.
        """
        left = set(self.pairs) - set(names)
        if left:
            raise CheckpointError(
                f"The adapter {self.directory} changes {len(left)} weights that the model does "
                f"not have, such as {min(left)}.",
                "Use the model that it was trained on.",
            )


def is_adapter(directory: Path) -> bool:
    """Whether a directory holds an adapter and no model of its own."""
    return (directory / CONFIG_FILE).exists() and not list(directory.glob("model*.safetensors*"))


def read_adapter(directory: Path) -> Adapter:
    """Read an adapter directory of peft.

    Raises:
        CheckpointError: A file is missing, a matrix stands alone, or the adapter is of a kind that
            is more than the product of two matrices.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_json(directory / CONFIG_FILE)
    for key, plain in _PLAIN.items():
        if config.get(key, plain[0]) not in plain:
            raise CheckpointError(
                f"The adapter {directory} has {key} = {config[key]!r}, which is not read here.",
                "Merge it with peft, and use the merged model.",
            )
    path = directory / WEIGHTS_FILE
    if not path.exists():
        raise CheckpointError(
            f"{directory} has no {WEIGHTS_FILE}.", "Only safetensors are read; save it again."
        )
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.", "Copy it again.") from error
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = _PART.fullmatch(name)
        if part is None:
            raise CheckpointError(
                f"{path} holds {name}, which is no matrix of a LoRA.",
                "Merge it with peft, and use the merged model.",
            )
        halves.setdefault(f"{canonical(part[1])}.weight", {})[part[2]] = tensor
    for name, found in halves.items():
        if set(found) != {"A", "B"} or len(found["A"]) != found["B"].shape[-1]:
            raise CheckpointError(
                f"{path} lacks a half of {name}, or its halves do not fit.", "Copy it again."
            )
    if not halves:
        raise CheckpointError(f"{path} is empty.", "Save the adapter again.")
    rank, alpha = config.get("r", 8), config.get("lora_alpha", 8)
    return Adapter(
        directory=directory,
        base=str(config.get("base_model_name_or_path") or ""),
        scale=alpha / (math.sqrt(rank) if config.get("use_rslora") else rank),
        pairs={name: (found["A"], found["B"]) for name, found in halves.items()},
    )
