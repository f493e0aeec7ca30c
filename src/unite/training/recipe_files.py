"""Recipes as TOML files, of one's own and those of the package.

A recipe may extend another one by name and then says only what differs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unite.errors import RecipeError, did_you_mean
from unite.paths import expanded
from unite.training.recipe import Recipe

_INSTEAD = {"start": "scratch", "steps": "epochs", "epochs": "steps"}
"""Keys that take the place of what a recipe had from the one it extends."""


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


def shipped() -> list[str]:
    """Names of the recipes in the package."""
    folder = files("unite.recipes")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name[-5:] == ".toml")


def _read(name: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Parse a recipe and lay it over the one it extends; those above extend this one."""
    path = expanded(name)
    real = path.resolve() if path.suffix == ".toml" else path
    if real in above:
        raise RecipeError(
            f"The recipe {name!r} extends itself.",
            f"Break the circle: {' → '.join(map(str, (*above, real)))}.",
        )
    if path.suffix == ".toml":
        if not path.is_file():
            raise RecipeError(
                f"There is no recipe file {name}.",
                f"Check the path, or take a shipped one: {', '.join(shipped())}.",
            )
        text = _text(path)
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
    if not isinstance(base, str):
        raise RecipeError(
            f"The recipe {name!r} extends {base!r}.", "Name one recipe: a file, or a shipped one."
        )
    if path.suffix == ".toml" and base not in shipped():
        base = str(path.parent / expanded(base))
    return _laid_over(_read(base, (*above, real)), row)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no UTF-8 text.", "Save it as UTF-8.") from error


def _laid_over(base: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge; a table that the base has as `sources`, `weights` or a start is replaced."""
    merged = dict(base)
    for key, value in row.items():
        deep = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        if deep and key not in ("sources", "weights"):
            merged[key] = _laid_over(merged[key], value)
        else:
            merged[key] = value
    for key, replaced in _INSTEAD.items():
        if key in row and replaced not in row:
            merged.pop(replaced, None)
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
    table.pop(_INSTEAD.get(last, ""), None)


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
