"""What several parts need: the published reference outputs, a tiny model, small media."""

from __future__ import annotations

import faulthandler
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from unite.model.checkpoint import Model

# Tiny matrices gain nothing from threads, and spinning ones take the cores from other workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("shared-machine", deadline=None)  # time is not what these tests hold
settings.load_profile("shared-machine")


END_SECONDS = 300
_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        config.stash[_stderr] = os.dup(2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """The limit of pytest-timeout ends with a failure; fixtures that do not end would hang for ever."""
    faulthandler.dump_traceback_later(END_SECONDS, exit=True, file=item.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def golden() -> Path:
    """Outputs of the published implementation; see the README there."""
    return Path(__file__).parent / "data" / "golden_a"


@pytest.fixture(scope="session")
def golden_cases(golden: Path) -> dict[str, dict[str, Any]]:
    cases = json.loads((golden / "cases.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in cases}


@pytest.fixture(scope="session")
def tiny_model() -> Model:
    """Random weights, four tokens a picture; nobody may change it."""
    from unite.model.scratch import random_model
    from unite.prompts import render
    from unite.types import Item

    texts = [render(Item(text=f"a {word} boat near the lighthouse")).text for word in "abcdefg"]
    model = random_model(
        texts,
        width=32,
        mlp_width=48,
        vision_width=32,
        vision_heads=2,
        vocabulary=320,
        side=56,
        max_tokens=256,
    )
    return replace(model, policy=replace(model.policy, small_world=False))


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """A folder with three pictures, a clip, a broken picture and a broken clip."""
    import shutil

    from PIL import Image

    folder = tmp_path_factory.mktemp("media")
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 256, (40 + number * 30, 60, 3), np.uint8)
        Image.fromarray(values).save(folder / f"p{number}.png")
    shutil.copy(golden / "media" / "clip_2s_320x240_24fps.mp4", folder / "clip.mp4")
    (folder / "broken.png").write_bytes((folder / "p0.png").read_bytes()[:60])
    (folder / "broken.mp4").write_bytes(b"no clip at all" * 10)
    return folder
