"""A training recipe: everything that decides a run, in one TOML file.

A recipe may extend another one by name and then says only what differs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unite.errors import RecipeError, did_you_mean


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneRecipe(_Part):
    """Shapes of a model that starts from random weights."""

    width: int = 96
    mlp_width: int = 256
    depth: int = 2
    heads: int = 4
    kv_heads: int = 2
    vision_width: int = 64
    vision_depth: int = 2
    vision_heads: int = 4
    vocabulary: int = 640
    side: int = Field(84, description="pictures and frames are brought to about this many pixels²")
    nframes: int = 4
    max_tokens: int = 1024
    init_std: float = 0.05


class LoraRecipe(_Part):
    """Low-rank adapters on the language model; the vision tower stays as it is."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05


class ModelRecipe(_Part):
    """What training starts from: a model, or random weights of given shapes."""

    start: str | None = None
    scratch: BackboneRecipe | None = None
    lora: LoraRecipe | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.start is None) == (self.scratch is None):
            raise ValueError("give either model.start (a model) or model.scratch (shapes)")
        return self


class DataRecipe(_Part):
    """The pair files and their shares.

    `root` is what the paths of `sources` are relative to; `weights` gives each source's
    share of every batch. `keep_decoded` keeps all media decoded in one file.
    """

    root: Path
    sources: dict[str, Path]
    weights: dict[str, float]
    keep_decoded: bool = False

    @model_validator(mode="after")
    def _weights_match(self) -> Self:
        for name in self.weights:
            if name not in self.sources:
                raise ValueError(f"weight of unknown source. {did_you_mean(name, self.sources)}")
        return self


class LossRecipe(_Part):
    """The objective: the mask of MAMCL or not, one direction or both, the temperature."""

    temperature: float = Field(0.03, gt=0)
    masked: bool = True
    symmetric: bool = False
    blend: float = Field(0.0, ge=0, le=1)
    hard_negatives: bool = True


class OptimiserRecipe(_Part):
    """AdamW, or Muon for matrices and AdamW for the rest; cosine decay; batch size and steps."""

    learning_rate: float = Field(1e-4, gt=0)
    muon_learning_rate: float | None = Field(None, gt=0, description="of matrices; None: no Muon")
    batch_size: int = Field(128, gt=0, description="pairs of a global batch")
    steps: int = Field(gt=0)
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0


class RunRecipe(_Part):
    """How the run is carried out; none of it changes what is learned."""

    processes: int = Field(1, gt=0)
    threads: int | None = None
    workers: int = 0
    log_every: int = 20
    save_every: int = 200


class Recipe(_Part):
    """One stage of training."""

    stage: Literal["retrieval-adaptation", "instruction-tuning"]
    model: ModelRecipe
    data: DataRecipe
    loss: LossRecipe = LossRecipe()
    optimiser: OptimiserRecipe
    run: RunRecipe = RunRecipe()

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        if self.optimiser.batch_size % self.run.processes:
            raise ValueError("optimiser.batch_size must be a multiple of run.processes")
        return self


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or path.

    Args:
        name: A TOML file, or the name of one shipped with the package.
        changes: `section.key=value` overrides; values are read as TOML, else as strings.

    Raises:
        RecipeError: There is no such recipe, or it does not hold; unknown keys are named
            with their nearest known one.
    """
    row = _read(name)
    for change in changes:
        _set(row, change)
    try:
        return Recipe.model_validate(row)
    except ValidationError as error:
        raise RecipeError(f"The recipe {name!r} does not hold: {_explain(error)}") from error


def source_files(recipe: Recipe) -> dict[str, Path]:
    """The pair files that a recipe takes anything from, by source.

    Raises:
        RecipeError: One is missing; the nearest name beside it is suggested.
    """
    found = {}
    for name, path in recipe.data.sources.items():
        if not recipe.data.weights.get(name, 1.0):
            continue
        whole = recipe.data.root / path
        if not whole.exists():
            there = [entry.name for entry in whole.parent.glob("*.json*")]
            raise RecipeError(
                f"The source {name!r} is not there: {whole}.",
                did_you_mean(whole.name, there)
                if there
                else "Set data.root to the folder of the pair files: --set data.root=FOLDER.",
            )
        found[name] = whole
    return found


def shipped() -> list[str]:
    """Names of the recipes in the package."""
    folder = files("unite.recipes")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name[-5:] == ".toml")


def _read(name: str) -> dict[str, Any]:
    """Parse a recipe and lay it over the one it extends."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {name}.", "Check the path.")
        text = path.read_text(encoding="utf-8")
    elif name in shipped():
        text = files("unite.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(f"There is no recipe {name!r}.", did_you_mean(name, shipped()))
    try:
        row = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {name!r} is not valid TOML: {error}.") from error
    base = row.pop("extends", None)
    if base is None:
        return row
    if path.suffix == ".toml" and base not in shipped():
        base = str(path.parent / base)
    return _laid_over(_read(base), row)


def _laid_over(base: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge; a table that the base has as `sources`, `weights` or a start is replaced."""
    merged = dict(base)
    for key, value in row.items():
        deep = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        if deep and key not in ("sources", "weights"):
            merged[key] = _laid_over(merged[key], value)
        else:
            merged[key] = value
    if "start" in row:
        merged.pop("scratch", None)
    return merged


def _set(row: dict[str, Any], change: str) -> None:
    key, sign, value = change.partition("=")
    *sections, last = key.strip().split(".")
    if not sign or not sections:
        raise RecipeError(f"--set {change!r} is not understood.", "Write section.key=value.")
    table = row
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"--set {change!r}: {section!r} is a value, not a section.")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value
    if (*sections, last) == ("model", "start"):
        table.pop("scratch", None)


def _explain(error: ValidationError) -> str:
    """The faults of a recipe, each with its place, unknown keys with the nearest known."""
    faults = []
    for fault in error.errors():
        place = [str(part) for part in fault["loc"]]
        if fault["type"] == "extra_forbidden":
            known = _keys_at(place[:-1])
            faults.append(
                f"unknown key {'.'.join(place)!r}. {did_you_mean(place[-1], known)}".strip()
            )
        else:
            faults.append(f"{'.'.join(place) or 'recipe'}: {fault['msg']}")
    return "; ".join(faults)


def _keys_at(place: list[str]) -> list[str]:
    part: Any = Recipe
    for name in place:
        field = part.model_fields.get(name)
        kinds = (
            [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        )
        part = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        if part is None:
            return []
    return list(part.model_fields)
