"""The process of one node: `python -m unite.studies.work FOLDER`.

It trains, with as many processes as the recipe says, and scores. A node that is killed goes on from
the trainer's last whole checkpoint.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unite.errors import RecipeError, StudyError, TrainingError, UniteError
from unite.studies.node import (
    FAILURE,
    LOG,
    RESULT,
    SPEC,
    TRAINED,
    model_of,
    read_json,
    trained,
    write_json,
)
from unite.training.launch import end_with_launcher, launch
from unite.training.logged import read_metrics
from unite.training.recipe import Recipe

_PROGRAM = "unite.studies.work"
_SAVINGS = 10
"""Checkpoints of a run at the least: one of few steps, in large batches, would have none."""
_SCRATCH = ("checkpoint-*", "pairs", "runs")
"""What a finished training run leaves that nobody needs any more."""


def main(folder: Path) -> int:
    """Do what a node's folder says; a failure is left there as its reason."""
    end_with_launcher()
    try:
        if "RANK" in os.environ:
            train_here(folder)
        else:
            do(folder)
    except UniteError as error:
        return _fail(folder, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's reason
        traceback.print_exc()
        return _fail(folder, f"{type(error).__name__}: {error}")
    return 0


def do(folder: Path) -> None:
    """Train, unless that is done, and score."""
    spec = read_json(folder / SPEC)
    recipe = _recipe(spec)
    if not trained(folder):
        _train(folder, spec, recipe)
    if spec["scored"]:
        _score(folder, spec, recipe)


def _recipe(spec: Mapping[str, Any]) -> Recipe:
    """What the node trains by, saved often enough that a kill costs a part of it."""
    recipe = Recipe.model_validate(spec["recipe"])
    if recipe.optimiser.steps is None:
        return recipe
    often = min(recipe.run.save_every, max(1, recipe.optimiser.steps // _SAVINGS))
    run = recipe.run.model_copy(update={"save_every": often})
    return recipe.model_copy(update={"run": run})


def _train(folder: Path, spec: Mapping[str, Any], recipe: Recipe) -> None:
    start = time.monotonic()
    _refuse_other_run(folder, recipe)
    if spec["untrained"]:
        from unite.model.checkpoint import save_model
        from unite.training.stages import starting_model

        model_of(folder).parent.mkdir(parents=True, exist_ok=True)
        save_model(starting_model(recipe), model_of(folder))
    elif recipe.run.processes > 1:
        _launch(folder, recipe)
    else:
        train_here(folder)
    speed = _speed(folder / "train" / "metrics.jsonl")
    write_json(folder / TRAINED, {"seconds": time.monotonic() - start, "pairs_per_second": speed})
    for pattern in _SCRATCH:
        for path in (folder / "train").glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _launch(folder: Path, recipe: Recipe) -> None:
    try:
        launch([str(folder)], recipe.run.processes, recipe.run.threads, program=[_PROGRAM])
    except TrainingError as error:
        raise StudyError(
            error.message,
            f"-9 mostly means that memory was wanting; what they said is in {folder / LOG}.",
        ) from error


def _refuse_other_run(folder: Path, recipe: Recipe) -> None:
    """What is half trained here may have begun with data that lie elsewhere by now."""
    from unite.training.stages import refuse_taken

    try:
        refuse_taken(recipe, folder / "train", resume=True)
    except RecipeError as error:
        raise StudyError(
            f"{folder / 'train'} is half trained by another recipe, or from data that have moved.",
            "Put them back where they were, or delete that folder to train it anew.",
        ) from error


def train_here(folder: Path) -> None:
    """Train in this process, alone or as one of several."""
    # Spoken by accelerate to its own callers: nothing that a user of ours could do about it.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
    from unite.training.fit import Objective, contrastive
    from unite.training.stages import train

    spec = read_json(folder / SPEC)
    recipe = _recipe(spec)
    made: Objective = contrastive
    if spec["objective"] is not None:
        from unite.studies.objectives import objective  # it needs transformers, which take long

        made = objective(spec["objective"])
    train(recipe, folder / "train", resume=True, objective=made)


def _score(folder: Path, spec: Mapping[str, Any], recipe: Recipe) -> None:
    from unite.model.checkpoint import load_model
    from unite.studies.scoring import score

    start = time.monotonic()
    row = score(
        load_model(str(model_of(folder))),
        Path(spec["eval_data"]),
        folder / "vectors",
        suites=spec["suites"],
        frames=recipe.data.frames,
        whatever=spec["frames"],
        keep_decoded=recipe.data.keep_decoded,
    )
    row["training"] = read_json(folder / TRAINED)
    row["scoring_seconds"] = time.monotonic() - start
    write_json(folder / RESULT, row, indent=None)
    shutil.rmtree(folder / "vectors", ignore_errors=True)


def _speed(metrics: Path) -> float | None:
    """Pairs a second, the median of what the run logged."""
    from statistics import median

    rows = read_metrics(metrics)
    found = [row["examples_per_second"] for row in rows if "examples_per_second" in row]
    return median(found) if found else None


def _fail(folder: Path, reason: str) -> int:
    print(reason, file=sys.stderr)
    if not (folder / FAILURE).exists():  # what a process of this run says first is the reason
        write_json(folder / FAILURE, {"error": reason})
    return 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    sys.exit(main(Path(sys.argv[1])))
