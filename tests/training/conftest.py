from pathlib import Path

import pytest

from unite.world.build import build_world


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world") / "world"
    build_world(directory, 40, 3)
    return directory


@pytest.fixture(scope="session")
def changes(small_world: Path) -> list[str]:
    """A stage-1 run of a few seconds: real files, real model, few steps."""
    return [
        f"data.root={small_world}",
        "optimiser.batch_size=16",
        "optimiser.steps=6",
        "run.processes=1",
        "run.save_every=2",
        "run.log_every=2",
        "model.scratch.width=32",
        "model.scratch.mlp_width=48",
        "model.scratch.vision_width=32",
        "model.scratch.vocabulary=400",
    ]
