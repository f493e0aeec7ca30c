"""Model directories: found, loaded whole, saved whole, and named by what they hold.

A load that would leave one tensor at its random start, or drop one, is refused: under
current transformers a released checkpoint fills 391 of 729 tensors and still returns
vectors.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.errors import CheckpointError
from unite.model.config import BackboneConfig
from unite.model.policy import POLICY_FILE, Policy, read_json, read_policy
from unite.model.tokenizer import load_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from unite.model.qwen2_vl import Qwen2VLEncoder

ALIASES = {
    "base-2b": "friedrichor/Unite-Base-Qwen2-VL-2B",
    "base-7b": "friedrichor/Unite-Base-Qwen2-VL-7B",
    "instruct-2b": "friedrichor/Unite-Instruct-Qwen2-VL-2B",
    "instruct-7b": "friedrichor/Unite-Instruct-Qwen2-VL-7B",
}
MINI = "mini"
_PREFIXES = (
    ("model.visual.", "visual."),
    ("model.language_model.", "model."),
    ("language_model.", "model."),
)
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

    encoder: Qwen2VLEncoder
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
            digest.update(_tensor_bytes(tensor))
        digest.update(self.tokenizer.to_str().encode())
        for part in (self.encoder.config.to_json(), self.policy.to_json()):
            digest.update(json.dumps(part, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.config.width


def locate(name: str) -> Path:
    """Find a model's directory; a hub id is downloaded unless it is in the cache.

    Args:
        name: A directory, `mini`, one of `ALIASES`, or a hub id `owner/name`.

    Raises:
        CheckpointError: There is no such model, or it cannot be downloaded.
    """
    if name == MINI:
        return Path(__file__).parent.parent / "mini"
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    hub_id = ALIASES.get(name, name)
    if hub_id.count("/") != 1 or path.is_absolute() or name.startswith("."):
        known = ", ".join([MINI, *ALIASES])
        raise CheckpointError(
            f"There is no model {name!r}.",
            f"Give a directory, a hub id owner/name, or one of: {known}.",
        )
    return _download(hub_id)


def load_model(name: str, *, dtype: str | None = None) -> Model:
    """Load a model whole.

    Args:
        name: See `locate`.
        dtype: `float32` or `bfloat16`; by default what the machine computes faster.

    Raises:
        CheckpointError: A file is missing, or the tensors are not exactly those expected.
    """
    import torch

    from unite.model.qwen2_vl import Qwen2VLEncoder

    directory = locate(name)
    config = BackboneConfig.from_json(read_json(directory / "config.json"))
    with torch.device("meta"):
        encoder = Qwen2VLEncoder(config)
    expected = encoder.state_dict()
    weights = dict(_weights(directory))
    check_tensors(expected, weights, directory)
    kind = _dtype(dtype, config.width)
    encoder.load_state_dict(
        {name: tensor.to(kind) for name, tensor in weights.items()}, strict=True, assign=True
    )
    return Model(
        encoder=encoder.eval(),
        tokenizer=load_tokenizer(directory),
        policy=read_policy(directory, config.max_positions),
        name=name,
        directory=directory,
    )


def save_model(model: Model, directory: Path, *, dtype: str = "float32") -> None:
    """Write a model directory; a reader sees it whole or not at all.

    Args:
        model: What to save.
        directory: Its place; an older one there is replaced.
        dtype: How weights are stored.
    """
    temporary = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_model_files(model, temporary, dtype=dtype)
    _write_sentence_transformers(temporary, model.dim)
    replace_directory(temporary, directory)


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
    _write_json(directory / "config.json", {**model.encoder.config.to_json(), "torch_dtype": dtype})
    _write_json(directory / POLICY_FILE, model.policy.to_json())
    save_tokenizer(model.tokenizer, directory)


def replace_directory(new: Path, old: Path) -> None:
    """Put a finished directory in another's place."""
    doomed = old.with_name(f".{old.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    if old.exists():
        old.rename(doomed)
    new.rename(old)
    shutil.rmtree(doomed, ignore_errors=True)


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


def _weights(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a checkpoint under its canonical name, without the lm_head."""
    from safetensors import SafetensorError, safe_open

    for path in _shards(directory):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    if not name.startswith("lm_head."):
                        yield _canonical(name), file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} cannot be read: {error}.", "Download the model again."
            ) from error


def _shards(directory: Path) -> list[Path]:
    index = directory / "model.safetensors.index.json"
    if index.exists():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise CheckpointError(
                f"{index} does not say where the tensors are.", "Download the model again."
            )
        names = sorted(set(places.values()))
        return [directory / name for name in names]
    path = directory / "model.safetensors"
    if not path.exists():
        raise CheckpointError(
            f"{directory} has no model.safetensors.",
            "Only safetensors are read; convert other weights first.",
        )
    return [path]


def _canonical(name: str) -> str:
    """The name in the layout of transformers 4.47, in which the released weights lie."""
    for longer, shorter in _PREFIXES:
        if name.startswith(longer):
            return shorter + name[len(longer) :]
    return name


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


def _tensor_bytes(tensor: Tensor) -> bytes:
    import torch

    flat = tensor.detach().to("cpu", torch.bfloat16).contiguous().view(-1).view(torch.uint8)
    return flat.numpy().tobytes()


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"The model {hub_id!r} is neither here nor can it be downloaded: {reason}",
            "Check the name and the network, or give a local directory.",
        ) from error


def _write_json(path: Path, row: Any) -> None:
    path.write_text(json.dumps(row, indent=2) + os.linesep, encoding="utf-8")


def _write_sentence_transformers(directory: Path, dim: int) -> None:
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
    _write_json(directory / "modules.json", rows)
    (directory / "1_Pooling").mkdir()
    _write_json(
        directory / "1_Pooling" / "config.json",
        {"embedding_dimension": dim, "pooling_mode": "lasttoken", "include_prompt": True},
    )
    _write_json(
        directory / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine", "prompts": {}},
    )
