"""The files of a model directory: JSON, shards of weights, and the names of tensors in them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
LM_HEAD = "lm_head.weight"
_PREFIXES = (
    ("model.visual.", "visual."),
    ("model.language_model.", "model."),
    ("language_model.", "model."),
)


def canonical(name: str) -> str:
    """A tensor's name in the layout of transformers 4.47, in which the released weights lie."""
    for longer, shorter in _PREFIXES:
        if name.startswith(longer):
            return shorter + name[len(longer) :]
    return name


def shards(directory: Path) -> list[Path]:
    """The weight files of a checkpoint: one, or those that its index names.

    Raises:
        CheckpointError: There are none, or the index names none.
    """
    index = directory / INDEX_FILE
    if index.exists():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise CheckpointError(
                f"{index} does not say where the tensors are.", "Download the model again."
            )
        return [directory / name for name in sorted(set(places.values()))]
    path = directory / WEIGHTS_FILE
    if not path.exists():
        raise CheckpointError(
            f"{directory} has no {WEIGHTS_FILE}.",
            "Only safetensors are read; convert other weights first.",
        )
    return [path]


def read_shard(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of one weight file under their names in it.

    Raises:
        CheckpointError: It cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}.", "Download the model again."
        ) from error


def read_weights(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a checkpoint under its canonical name, without the lm_head."""
    for path in shards(directory):
        for name, tensor in read_shard(path):
            if not name.startswith("lm_head."):
                yield canonical(name), tensor


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a model directory.

    Raises:
        CheckpointError: It is not there, or is no JSON object.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        model = path.parent / "model"
        remedy = "A model's directory holds config.json, model.safetensors and more."
        if (model / path.name).exists():
            remedy = f"{path.parent} is a training run; its model is {model}."
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.", remedy) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(row, dict):
        raise CheckpointError(f"{path} holds no JSON object.", "Download the model again.")
    return row


def write_json(path: Path, row: Any) -> None:
    """Write JSON for people to read too."""
    path.write_text(json.dumps(row, indent=2) + os.linesep, encoding="utf-8")


def replace_directory(new: Path, old: Path) -> None:
    """Put a finished directory in another's place; where that fails, the other is back in it."""
    doomed = old.with_name(f".{old.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    if old.exists():
        old.rename(doomed)
    try:
        new.rename(old)
    except OSError:
        if doomed.exists():
            doomed.rename(old)
        raise
    shutil.rmtree(doomed, ignore_errors=True)
