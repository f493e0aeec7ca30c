"""Sources by the kind of their pairs: text–text, text–image, coarse and fine text–video.

A recipe may name sources one by one, as those of the small world do, or take a whole released
folder as one, as the paper did. Such a folder is taken apart into its sets. Without weights each
row comes equally often, so a source then weighs as much as it has rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unite.data.records import read_rows
from unite.data.sources import Source, recognise, source_files
from unite.data.sources import unite as released
from unite.errors import StudyError
from unite.studies.arm import Setting, Stage
from unite.training.recipe import Recipe, SourceRecipe, sources_of

KINDS: dict[str, tuple[str, ...]] = {
    "TT": ("tt", "nli", "msmarco", "nq", "hotpotqa", "fever", "triviaqa", "squad"),
    "TI": ("ti_coarse", "ti_fine", "capsfusion", "laion_art", "mscoco"),
    "TV coarse": ("tv_coarse", "internvid"),
    "TV fine": ("tv_fine", "tarsier2"),
}
"""Names of each kind's sources: the small world's, then the paper's sets, which may have more
behind them (`Tarsier2-Recap-585K`)."""
_OURS = ("tt", "ti_coarse", "ti_fine", "tv_coarse", "tv_fine")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a recipe draws pairs from.

    Attributes:
        given: By name.
        weights: Of each, in any unit.
    """

    given: dict[str, SourceRecipe]
    weights: dict[str, float]


def kind_of(name: str) -> str | None:
    """The kind of pairs that a source of this name holds; None if no kind is known by it."""
    for kind, names in KINDS.items():
        if name in names or any(_begins(name, known) for known in names if known not in _OURS):
            return kind
    return None


def sources_in(recipe: Recipe, *, apart: bool = True) -> Sources:
    """A recipe's sources.

    Args:
        recipe: What names them.
        apart: Whether released folders are taken apart; all must then be of a known kind.

    Raises:
        StudyError: A source is of no known kind, two have one name, or weights are not given and
            rows cannot be counted.
        RecipeError: A source is not there.
    """
    given: dict[str, SourceRecipe] = {}
    weights: dict[str, float] = {}
    by_size = not any(recipe.data.weights.values())
    for name, source in recipe.data.sources.items():
        weight = recipe.data.weights.get(name, 1.0)
        sets = _sets(recipe, name) if apart and weight else []
        parts = {part: source.model_copy(update={"subset": part}) for part in sets} or {
            name: source
        }
        if parts.keys() & given.keys():
            raise StudyError(
                f"Two sources are called {min(parts.keys() & given.keys())!r}.",
                "Name the sets of each folder one by one, with `subset`.",
            )
        given |= parts
        if not sets and not (by_size and weight):
            weights[name] = weight
            continue
        rows = {part: _rows(recipe, parts[part], part) for part in parts}
        share = weight / (sum(rows.values()) or 1) if not by_size else 1.0
        weights |= {part: share * count for part, count in rows.items()}
    unknown = [name for name, weight in weights.items() if weight and kind_of(name) is None]
    if apart and unknown:
        raise StudyError(
            f"What kind of pairs the source {unknown[0]!r} holds is not known by its name.",
            f"Names are {', '.join(name for names in KINDS.values() for name in names)}.",
        )
    return Sources(given, weights)


def steps_of(recipe: Recipe) -> int | None:
    """A recipe's epochs as steps, so that arms of other data see as many pairs; None if it has any.

    Raises:
        StudyError: Rows cannot be counted.
    """
    optimiser = recipe.optimiser
    if optimiser.steps is not None:
        return None
    if 0 in recipe.data.modality_weights.values():
        raise StudyError(
            "The rows of an epoch cannot be counted: a modality weight of 0 leaves some out.",
            "Give optimiser.steps in place of epochs.",
        )
    used = {name: given for name, given in recipe.data.sources.items()
            if recipe.data.weights.get(name, 1.0)}  # fmt: skip
    return optimiser.length(sum(_rows(recipe, given, name) for name, given in used.items()))


def dealt(weights: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
    """The shares of kinds dealt out to their sources, by the sources' own weights.

    Raises:
        StudyError: There are no sources of a kind.
    """
    found: dict[str, float] = {}
    for kind, share in shares.items():
        of_kind = {name: weight for name, weight in weights.items()
                   if weight and kind_of(name) == kind}  # fmt: skip
        if not of_kind:
            raise StudyError(
                f"The recipe has no sources of the kind {kind}.",
                f"Name its sources as one of {', '.join(KINDS[kind])}, with a weight each.",
            )
        whole = sum(of_kind.values())
        found |= {name: round(share * weight / whole, 9) for name, weight in of_kind.items()}
    return found


def kind_weights(setting: Setting) -> dict[str, float]:
    """What the recipe of stage 1 gives each kind of pair, in any unit."""
    weights = sources_in(setting.first).weights
    return {
        kind: sum(weight for name, weight in weights.items() if kind_of(name) == kind)
        for kind in KINDS
    }


def first_stages(setting: Setting, shares: Mapping[str, float]) -> tuple[Stage, ...]:
    """Stage 1 with these shares of kinds, from an untrained model that knows all sources' words."""
    recipe = setting.whole.first
    sources = sources_in(recipe)
    wanted = dealt(sources.weights, shares)
    stage = Stage(setting.stage1, changes_to(recipe, sources.given, wanted))
    if recipe.model.scratch is None:
        return (stage,)
    return Stage(setting.stage1, untrained=True), stage


def changes_to(
    recipe: Recipe, given: Mapping[str, SourceRecipe], wanted: Mapping[str, float]
) -> tuple[str, ...]:
    """The changes that give sources these weights and leave no others.

    Args:
        recipe: What is changed, in its whole length.
        given: The sources it then has.
        wanted: Weights by name; 0 where there is none.
    """
    changes = []
    if given.keys() != recipe.data.sources.keys():
        told = ", ".join(f"{_quoted(name)} = {_table(source)}" for name, source in given.items())
        changes.append(f"data.sources={{ {told} }}")
    weights = ", ".join(f"{_quoted(name)} = {wanted.get(name, 0.0)}" for name in given)
    changes.append(f"data.weights={{ {weights} }}")
    steps = steps_of(recipe)
    return (*changes, *([] if steps is None else [f"optimiser.steps={steps}"]))


def _begins(name: str, known: str) -> bool:
    """Whether a name is a known one or has more behind it: `laion_art`, `LAION-Art`, `NQ-100K`."""
    pattern = known.replace("_", "[-_ ]?") + r"(?![a-z])"
    return re.match(pattern, name.lower()) is not None


def _sets(recipe: Recipe, name: str) -> list[str]:
    """The sets of a released folder that is taken as a whole; empty for any other source."""
    given = recipe.data.sources[name]
    if given.kind not in (None, "unite") or given.subset is not None:
        return []
    source = _opened(recipe, name, given)
    if not source.path.is_dir() or (source.path / released.METADATA).exists():
        return []
    if recognise(source) != "unite":
        return []
    return [path.parent.name for path in released.files(source) if path.name == released.METADATA]


def _rows(recipe: Recipe, given: SourceRecipe, name: str) -> int:
    source = _opened(recipe, name, given)
    kind = recognise(source)
    if kind not in ("pairs", "unite"):
        raise StudyError(
            f"The rows of {name!r} cannot be counted: it is of the kind {kind}.",
            "Give data.weights for all sources, and optimiser.steps in place of epochs.",
        )
    paths = [path for path in source_files(source) if path.is_file()]
    return sum(_counted(path, path.stat().st_mtime_ns) for path in paths)


def _opened(recipe: Recipe, name: str, given: SourceRecipe) -> Source:
    data = recipe.data.model_copy(update={"sources": {name: given}, "weights": {}})
    return sources_of(recipe.model_copy(update={"data": data}))[name]


@cache
def _counted(path: Path, changed: int) -> int:
    """Rows of a file; `changed` keeps a count from outliving what was counted."""
    del changed
    return sum(1 for _ in read_rows(path))


def _table(source: SourceRecipe) -> str:
    """A source as inline TOML."""
    row = source.model_dump(mode="json", exclude_none=True)
    return "{ " + ", ".join(f"{key} = {_quoted(value)}" for key, value in row.items()) + " }"


def _quoted(text: str) -> str:
    """A TOML string, which JSON's is where nothing beyond ASCII is escaped."""
    return json.dumps(text, ensure_ascii=False)
