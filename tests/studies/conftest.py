"""Hand-made outcomes, and arms that train in seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from unite.studies.arm import Arm, Setting, Stage
from unite.studies.node import RESULT, TRAINED, Run, plan, write_json
from unite.studies.outcome import Outcomes
from unite.studies.scoring import TaskResult
from unite.world.build import build_world

TINY = (
    "optimiser.batch_size=16", "optimiser.steps=4", "run.processes=1", "run.save_every=2",
    "run.log_every=2", "run.trackers=[]",
)  # fmt: skip
NARROW = (
    "model.scratch.width=32", "model.scratch.mlp_width=48", "model.scratch.vision_width=32",
    "model.scratch.vocabulary=400",
)  # fmt: skip

Made = Callable[[Mapping[str, Sequence[Sequence[int]]]], Outcomes]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world") / "world"
    build_world(directory, 40, 3)
    return directory


@pytest.fixture
def setting(world: Path) -> Setting:
    return Setting(data=str(world), changes=TINY, seeds=(0,))


def first() -> Stage:
    return Stage("small-stage1", NARROW)


def second(*changes: str) -> Stage:
    return Stage("small-stage2", changes)


def task(ranks: Sequence[int], name: str = "t2i", family: str = "fine") -> TaskResult:
    count = len(ranks)
    return TaskResult(
        name, "seen_combinations", family, "text→image", 50, tuple(ranks), ("image",) * count,
        ("image",) * count,
    )  # fmt: skip


def finish(run: Run, tasks: Sequence[TaskResult]) -> None:
    """Leave what a finished run leaves."""
    for node in run.nodes:
        node.model.mkdir(parents=True, exist_ok=True)
        write_json(node.folder / TRAINED, {"seconds": 1.0, "pairs_per_second": 50.0})
    row = {
        "tasks": [one.to_json() for one in tasks],
        "gap": {"image|text": 0.5, "mean": 0.5},
        "training": {"seconds": 1.0, "pairs_per_second": 50.0},
        "scoring_seconds": 1.0,
    }
    write_json(run.last.folder / RESULT, row)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes outcomes of ranks: by arm, for each seed the rank of every query."""

    def make(ranks: Mapping[str, Sequence[Sequence[int]]]) -> Outcomes:
        runs = []
        for number, (name, seeds) in enumerate(ranks.items()):
            arm = Arm(name, (first(), second(f"loss.temperature=0.0{number + 1}")))
            setting = Setting(data=str(tmp_path), changes=TINY, seeds=tuple(range(len(seeds))))
            for run in plan([arm], setting, tmp_path):
                if seeds[run.seed]:
                    finish(run, [task(seeds[run.seed])])
                runs.append(run)
        return Outcomes(runs)

    return make


def ranks(hits: int, count: int = 100) -> list[int]:
    """So many queries answered first, the others second."""
    return [1] * hits + [2] * (count - hits)
