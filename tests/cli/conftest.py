from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from unite.model.checkpoint import save_model
from unite.model.scratch import random_model

Unite = Callable[..., Result]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with random weights."""
    directory = tmp_path_factory.mktemp("models") / "tiny"
    texts = ["a red star on the left and a big blue ring grows"] * 3
    save_model(random_model(texts, width=32, mlp_width=48, vision_width=32), directory)
    return directory


@pytest.fixture
def unite() -> Unite:
    """The command line in this process: `unite("embed", path, …)`."""
    from unite.cli.main import app

    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])
