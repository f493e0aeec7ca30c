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
    """The command line in this process: `unite("embed", path, …)`.

    What decodes does so in threads unless a test says otherwise: processes take a second to start.
    """
    from unite.cli.main import app

    runner = CliRunner()

    def run(*given: object) -> Result:
        words = [str(word) for word in given]
        if words[:1] in (["embed"], ["index"]) and "--workers" not in words:
            words += ["--workers", "0"]
        return runner.invoke(app, words)

    return run
