from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unite.world.build import Plan, build_world, plan_world

SIZE, SEED = 42, 3  # not a multiple of a family


class World:
    """A built world beside the plan it was drawn from."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root, self.plan = root, plan
        self.media = {medium.path: medium for medium in plan.media}

    def load(self, path: str) -> Any:
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def medium(self, reference: str) -> Any:
        return self.media[reference.replace("../", "")]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world") / "built"
    build_world(root, SIZE, SEED, workers=1)
    return World(root, plan_world(SIZE, SEED))


@pytest.fixture(scope="session")
def wide_plan() -> Plan:
    """A plan with enough scenes for statistics; nothing of it is drawn."""
    return plan_world(600, 1)
