"""Checkpoints rewritten from file to file: merged with an adapter, laid out for other tools.

Tensors pass one shard at a time; the lm_head, which no embedding needs, is carried along so that
transformers can still open the result as the generating model it was.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.errors import CheckpointError
from unite.model.adapters import read_adapter
from unite.model.checkpoint import (
    build_encoder,
    check_tensors,
    find_weights,
    write_sentence_transformers,
)
from unite.model.config import BackboneConfig, read_config
from unite.model.files import (
    INDEX_FILE,
    LM_HEAD,
    canonical,
    read_json,
    read_shard,
    replace_directory,
    shards,
    write_json,
)
from unite.model.policy import POLICY_FILE, read_policy
from unite.model.tokenizer import load_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from unite.model.adapters import Adapter

_CARRIED = (
    "added_tokens.json", "chat_template.json", "chat_template.jinja", "generation_config.json",
    "merges.txt", "preprocessor_config.json", "processor_config.json", "special_tokens_map.json",
    "tokenizer_config.json", "video_preprocessor_config.json", "vocab.json",
)  # fmt: skip
_ARCHITECTURES = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}


def convert(
    name: str, target: Path, *, adapter: Path | None = None, dtype: str | None = None
) -> list[str]:
    """Write a model so that this package, sentence-transformers and transformers open it.

    Args:
        name: The model; see `locate`. An adapter is merged with the base that it names.
        target: The new directory; an older model there is replaced when the new one is whole.
        adapter: A LoRA in peft's format, added to the weights.
        dtype: How weights are stored; by default as they are.

    Returns:
        What a reader should know of the result.

    Raises:
        CheckpointError: The model or the adapter is not whole, they do not belong together, or the
            target holds something else than a model of ours.
    """
    target = target.resolve()  # `.` has no name to stand beside
    source, lora = find_weights(name)
    if adapter is not None and lora is not None:
        raise CheckpointError(f"{name} is an adapter itself.", "Give the model that both are of.")
    lora = read_adapter(adapter) if adapter else lora
    if target == source.resolve():
        raise CheckpointError(f"{target} is the model itself.", "Name another directory.")
    if target in source.resolve().parents or (lora and target in lora.directory.resolve().parents):
        raise CheckpointError(f"What is read lies within {target}.", "Name another directory.")
    if target.exists() and not _may_be_replaced(target):
        raise CheckpointError(f"{target} is there and is no model of ours.", "Name a new one.")
    if dtype not in (None, "float32", "bfloat16"):
        raise CheckpointError(f"The dtype {dtype!r} is unknown.", "Use float32 or bfloat16.")
    row = read_json(source / "config.json")
    config = read_config(row)
    policy = read_policy(source, config)
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        found = _rewrite(source, temporary, row["model_type"], lora, dtype)
        _check(config, policy.positions, found, source)
        save_tokenizer(load_tokenizer(source), temporary)
        for file in _CARRIED:
            if (source / file).exists():
                shutil.copy(source / file, temporary / file)
        write_json(temporary / "config.json", _config(row, dtype))
        write_json(temporary / POLICY_FILE, policy.to_json())
        write_sentence_transformers(temporary, config.width)
        replace_directory(temporary, target)
    finally:  # after a failure nothing is left
        shutil.rmtree(temporary, ignore_errors=True)
    tied = row.get("tie_word_embeddings", isinstance(config, BackboneConfig))
    if LM_HEAD in found or tied:
        return []
    return ["It has no lm_head: it embeds, and transformers opens it as a model without a head."]


def _may_be_replaced(target: Path) -> bool:
    """Whether a directory is empty or a model that this package wrote."""
    return target.is_dir() and ((target / POLICY_FILE).is_file() or not any(target.iterdir()))


def _rewrite(
    source: Path, target: Path, kind: str, lora: Adapter | None, dtype: str | None
) -> dict[str, Tensor]:
    """Write all shards; return the tensors' shapes (without their values) by canonical name."""
    import torch
    from safetensors.torch import save_file

    found: dict[str, Tensor] = {}
    places: dict[str, str] = {}
    size = 0
    for path in shards(source):
        tensors = {}
        for name, tensor in read_shard(path):
            short = canonical(name)
            stored_as = getattr(torch, dtype) if dtype else tensor.dtype
            tensor = (lora.changed(short, tensor) if lora else tensor).to(stored_as)
            found[short] = tensor.to("meta")
            tensors[_stored(short, kind)] = tensor.contiguous()
            size += tensor.numel() * tensor.element_size()
        save_file(tensors, target / path.name, metadata={"format": "pt"})
        (target / path.name).chmod(0o644)
        places |= dict.fromkeys(tensors, path.name)
    if lora:
        lora.check_used(found)
    if (source / INDEX_FILE).exists():
        row = {"metadata": {"total_size": size}, "weight_map": places}
        write_json(target / INDEX_FILE, row)
    return found


def _stored(name: str, kind: str) -> str:
    """The name that transformers expects on disk: Qwen3-VL's checkpoints have the longer ones."""
    if kind != "qwen3_vl" or name.startswith("lm_head."):
        return name
    inner = name.removeprefix("model.")
    return f"model.language_model.{inner}" if inner != name else f"model.{name}"


def _check(config: Any, positions: str, found: dict[str, Tensor], source: Path) -> None:
    import torch

    with torch.device("meta"):
        expected = build_encoder(config, positions).state_dict()
    check_tensors(expected, {n: t for n, t in found.items() if n != LM_HEAD}, source)


def _config(row: dict[str, Any], dtype: str | None) -> dict[str, Any]:
    """The configuration under the name by which transformers knows the backbone."""
    kind = row["model_type"].removeprefix("unite_")
    vision = {key: part for key, part in row["vision_config"].items() if key != "model_type"}
    changed = {**row, "model_type": kind, "architectures": [_ARCHITECTURES[kind]]}
    changed["vision_config"] = vision
    if dtype is None:
        return changed
    parts = {key: _without_dtype(part) for key, part in changed.items() if isinstance(part, dict)}
    return {**_without_dtype(changed), **parts, "torch_dtype": dtype}


def _without_dtype(row: dict[str, Any]) -> dict[str, Any]:
    """A part of a configuration without either of the names that transformers has for it."""
    return {key: part for key, part in row.items() if key not in ("dtype", "torch_dtype")}
