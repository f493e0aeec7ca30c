"""Model directories: found, loaded whole, saved whole, and named by what they hold.

A load that would leave one tensor at its random start, or drop one, is refused: under
current transformers a released checkpoint fills 391 of 729 tensors and still returns
vectors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.errors import CheckpointError
from unite.model.adapters import is_adapter, read_adapter
from unite.model.config import BackboneConfig, LaterConfig, read_config
from unite.model.files import read_json, read_weights, replace_directory, write_json
from unite.model.policy import POLICY_FILE, Policy, read_policy
from unite.model.tokenizer import (
    IMAGE_PAD,
    VIDEO_PAD,
    load_tokenizer,
    save_tokenizer,
    token_id,
)
from unite.paths import expanded

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from unite.model.adapters import Adapter
    from unite.model.later_qwen import LaterQwenEncoder
    from unite.model.qwen2_vl import Qwen2VLEncoder

ALIASES = {
    "base-2b": "friedrichor/Unite-Base-Qwen2-VL-2B",
    "base-7b": "friedrichor/Unite-Base-Qwen2-VL-7B",
    "instruct-2b": "friedrichor/Unite-Instruct-Qwen2-VL-2B",
    "instruct-7b": "friedrichor/Unite-Instruct-Qwen2-VL-7B",
}
MINI = "mini"
_NAMES_SHOWN = 5


@dataclass
class Model:
    """An encoder with all that shapes its vectors.

    Attributes:
        encoder: The network.
        tokenizer: Its tokenizer.
        policy: Prompt, pixels, frames, pooling.
        name: What the user called it.
        directory: Where it was loaded from; None for one made in memory.
    """

    encoder: Qwen2VLEncoder | LaterQwenEncoder
    tokenizer: Tokenizer
    policy: Policy
    name: str
    directory: Path | None = None

    @cached_property
    def id(self) -> str:
        """Hash of weights, tokenizer, configuration and policy: equal vectors, equal id.

        The policy in use counts, not the one on disk: other frames, other vectors. Weights
        count in bf16, so that a model has one id on machines that run it in fp32 and in bf16.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor_bytes(tensor))
        digest.update(self.tokenizer.to_str().encode())
        for part in (self.encoder.config.to_json(), self.policy.to_json()):
            digest.update(json.dumps(part, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.config.width


def locate(name: str, **hub: Any) -> Path:
    """Find a model's directory; a hub id is downloaded unless it is in the cache.

    Args:
        name: A directory, `mini`, one of `ALIASES`, or a hub id `owner/name`.
        hub: What `huggingface_hub.snapshot_download` takes, such as a revision.

    Raises:
        CheckpointError: There is no such model, or it cannot be downloaded.
    """
    if name == MINI:
        return Path(__file__).parent.parent / "mini"
    path = expanded(name)
    if name and path.is_dir():
        return path
    hub_id = ALIASES.get(name, name)
    if hub_id.count("/") != 1 or path.is_absolute() or name.startswith("."):
        known = ", ".join([MINI, *ALIASES])
        raise CheckpointError(
            f"There is no model {name!r}.",
            f"Give a directory, a hub id owner/name, or one of: {known}.",
        )
    return _download(hub_id, hub)


def load_model(name: str, *, dtype: str | None = None, **hub: Any) -> Model:
    """Load a model whole.

    Args:
        name: See `locate`.
        dtype: `float32` or `bfloat16`; by default what the machine computes faster.
        hub: See `locate`.

    Raises:
        CheckpointError: A file is missing, or the tensors are not exactly those expected.
    """
    base, adapter = find_weights(name, **hub)
    config = read_config(read_json(base / "config.json"))
    policy = read_policy(base, config)
    tokenizer = load_tokenizer(base)
    _check_pads(config, tokenizer, base)
    encoder = build_encoder(config, policy.positions, policy.pooling)
    expected = encoder.state_dict()
    kind = _dtype(dtype, config.width)
    found = {
        name: (adapter.changed(name, tensor) if adapter else tensor).to(kind)
        for name, tensor in read_weights(base)
    }
    if adapter:
        adapter.check_used(found)
    check_tensors(expected, found, base)
    encoder.load_state_dict(found, strict=True, assign=True)
    return Model(
        encoder=encoder.eval(),
        tokenizer=tokenizer,
        policy=policy,
        name=name,
        directory=locate(name, **hub),
    )


def load_tokenizer_of(name: str) -> Tokenizer:
    """The tokenizer of a model, without its weights.

    Raises:
        CheckpointError: There is no such model, or it has none.
    """
    return load_tokenizer(find_weights(name)[0])


def find_weights(name: str, **hub: Any) -> tuple[Path, Adapter | None]:
    """A model's own directory and, where the name is an adapter's, what that adds to its weights.

    Raises:
        CheckpointError: There is no such model, the adapter is not whole, or its base not here.
    """
    directory = locate(name, **hub)
    if not is_adapter(directory):
        return directory, None
    adapter = read_adapter(directory)
    return _base_of(adapter, {key: hub[key] for key in hub if key != "revision"}), adapter


def build_encoder(
    config: BackboneConfig | LaterConfig, positions: str, pooling: str = "last"
) -> Qwen2VLEncoder | LaterQwenEncoder:
    """The network of a backbone, its weights still to be filled in."""
    import torch

    if isinstance(config, BackboneConfig) and (positions, pooling) == ("1d", "last"):
        from unite.model.qwen2_vl import Qwen2VLEncoder

        with torch.device("meta"):
            return Qwen2VLEncoder(config)
    from transformers.initialization import no_init_weights

    from unite.model.later_qwen import LaterQwenEncoder

    later = config if isinstance(config, LaterConfig) else LaterConfig.from_json(config.to_json())
    with no_init_weights():
        return LaterQwenEncoder(later, positions, pooling)


def built_anew(model: Model, *, positions: str | None, pooling: str | None) -> Model:
    """The same weights read with other positions or another pooling; None keeps what stands."""
    policy = replace(
        model.policy,
        positions=positions or model.policy.positions,
        pooling=pooling or model.policy.pooling,
    )
    if policy == model.policy:
        return model
    encoder = build_encoder(model.encoder.config, policy.positions, policy.pooling)
    encoder.load_state_dict(model.encoder.state_dict(), strict=True, assign=True)
    return replace(model, encoder=encoder, policy=policy, directory=None)


def save_model(
    model: Model, directory: Path, *, dtype: str = "float32", card: str | None = None
) -> None:
    """Write a model directory; a reader sees it whole or not at all.

    Args:
        model: What to save.
        directory: Its place; an older one there is replaced.
        dtype: How weights are stored.
        card: The text of its README.

    Raises:
        CheckpointError: The disk is full, or not ours to write to.
    """
    from safetensors import SafetensorError

    temporary = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        write_model_files(model, temporary, dtype=dtype)
        write_sentence_transformers(temporary, model.dim)
        if card is not None:
            (temporary / "README.md").write_text(card, encoding="utf-8")
        replace_directory(temporary, directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"The model cannot be written to {directory}: {error}.",
            "Make room, or choose another place; what was there before stays.",
        ) from error


def write_model_files(model: Model, directory: Path, *, dtype: str = "float32") -> None:
    """Write weights, configuration, policy and tokenizer into a directory that exists."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().to("cpu", getattr(torch, dtype)).contiguous()
        for name, tensor in model.encoder.state_dict().items()
    }
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone
    write_json(directory / "config.json", {**model.encoder.config.to_json(), "torch_dtype": dtype})
    write_json(directory / POLICY_FILE, model.policy.to_json())
    save_tokenizer(model.tokenizer, directory)


def check_tensors(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], directory: Path
) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: One is missing, unexpected or of another shape; the first are named.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults = [
        f"{len(names)} {kind} ({', '.join(names[:_NAMES_SHOWN])}"
        f"{', …' if len(names) > _NAMES_SHOWN else ''})"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            f"The weights in {directory} do not fill the model: of {len(expected)} tensors, "
            f"{'; '.join(faults)}.",
            "Download the model again, or check that config.json belongs to these weights.",
        )


def _check_pads(config: BackboneConfig | LaterConfig, tokenizer: Tokenizer, base: Path) -> None:
    """Both must mean the same token by a picture, or pixels would go to the wrong places."""
    for name, number in (
        (IMAGE_PAD, config.image_token_id),
        (VIDEO_PAD, config.video_token_id),
    ):
        if token_id(tokenizer, name) != number:
            raise CheckpointError(
                f"In {base}, {name} is token {token_id(tokenizer, name)} of the tokenizer but "
                f"{number} in config.json.",
                "Download the model again: its files do not belong together.",
            )


def _base_of(adapter: Adapter, hub: Mapping[str, Any]) -> Path:
    try:
        if not adapter.base:
            raise CheckpointError("No base is named.")
        return locate(adapter.base, **hub)
    except CheckpointError as error:
        raise CheckpointError(
            f"The adapter {adapter.directory} was trained on {adapter.base!r}, which is not here.",
            f"Name the model: unite model merge MODEL {adapter.directory} -o DIR.",
        ) from error


def _dtype(name: str | None, width: int) -> Any:
    """The wanted dtype, or bf16 where the machine has it and the model is wide enough to gain."""
    import torch

    if name is not None:
        kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(name)
        if kind is None:
            raise CheckpointError(f"The dtype {name!r} is unknown.", "Use float32 or bfloat16.")
        return kind
    if torch.cuda.is_available():
        return torch.bfloat16
    wide = width >= 512  # below, conversions cost more than the products gain
    flags = Path("/proc/cpuinfo")
    has_bf16 = flags.exists() and any(
        flag in flags.read_text(encoding="utf-8") for flag in ("amx_bf16", "avx512_bf16")
    )
    return torch.bfloat16 if wide and has_bf16 else torch.float32


def tensor_bytes(tensor: Tensor) -> bytes:
    """What counts of a tensor in a hash: its values in bf16."""
    import torch

    flat = tensor.detach().to("cpu", torch.bfloat16).contiguous().view(-1).view(torch.uint8)
    return flat.numpy().tobytes()


def _download(hub_id: str, hub: Mapping[str, Any]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns, **hub))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"The model {hub_id!r} is neither here nor can it be downloaded: {reason.rstrip('.')}.",
            "Check the name and the network, or give a local directory.",
        ) from error


def write_sentence_transformers(directory: Path, dim: int) -> None:
    """The files by which a stock SentenceTransformer opens the directory."""
    modules = [
        ("", "unite.model.transformer.UniteTransformer"),
        ("1_Pooling", "sentence_transformers.sentence_transformer.modules.Pooling"),
        ("2_Normalize", "sentence_transformers.base.modules.Normalize"),
    ]
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(modules)
    ]
    write_json(directory / "modules.json", rows)
    (directory / "1_Pooling").mkdir()
    write_json(
        directory / "1_Pooling" / "config.json",
        {"embedding_dimension": dim, "pooling_mode": "lasttoken", "include_prompt": True},
    )
    write_json(
        directory / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine", "prompts": {}},
    )
