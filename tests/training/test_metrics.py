from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from unite.loss.mamcl import Contrast
from unite.training.metrics import Figures, MetricsFile

TEXT_IMAGE, TEXT_VIDEO = 8 + 2, 8 + 4


def loss(kinds: list[int], losses: list[float], rivals: list[int]) -> Any:
    """What `Figures` looks at of a loss."""
    contrast = Contrast(
        torch.tensor(0.0),
        torch.tensor(losses),
        torch.tensor([value < 1 for value in losses]),
        torch.tensor(rivals),
        torch.ones(len(kinds), dtype=torch.long),
    )
    return SimpleNamespace(last=contrast, kinds_A=torch.tensor(kinds))


def test_means_are_of_rows_not_of_batches() -> None:
    figures = Figures()
    figures.add(loss([TEXT_IMAGE, TEXT_VIDEO], [0.5, 2.0], [3, 0]))
    figures.add(loss([TEXT_IMAGE] * 2, [1.5, 0.5], [3, 6]))
    found = figures.take()
    assert list(found) == ["all", "text→image", "text→video"]
    assert found["text→image"] == pytest.approx(
        {"loss": 2.5 / 3, "accuracy": 2 / 3, "negatives": 4, "singletons": 0, "duplicates": 1}
    )
    assert found["text→video"]["singletons"] == 1
    assert found["all"]["loss"] == pytest.approx(4.5 / 4)
    assert found["all"]["negatives"] == 3
    assert figures.latest is found
    assert figures.take() == {}


@pytest.mark.parametrize("before", ["", '{"step": 1}\n', '{"step": 1}\n{"st'])
def test_a_run_that_goes_on_begins_a_line_of_its_own(tmp_path: Path, before: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(before)
    file = MetricsFile(path, Figures(), pairs_per_step=8)
    state = SimpleNamespace(is_world_process_zero=True, global_step=1)
    file.on_train_begin(None, state, None)
    file.on_log(None, state, None, logs={"loss": 0.5})
    *kept, last = path.read_text().splitlines()
    assert kept == before.splitlines()
    assert json.loads(last)["loss"] == 0.5


def test_a_line_for_every_log_with_the_rate_since_the_last(tmp_path: Path) -> None:
    figures = Figures()
    file = MetricsFile(tmp_path / "metrics.jsonl", figures, pairs_per_step=8)
    state = SimpleNamespace(is_world_process_zero=True, global_step=40)
    file.on_train_begin(None, state, None)
    figures.add(loss([TEXT_IMAGE], [0.5], [3]))
    figures.take()
    state.global_step = 42
    file.on_log(None, state, None, logs={"loss": 0.5})
    (line,) = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert line["step"] == 42
    assert line["loss"] == 0.5
    assert line["pairs"]["text→image"]["loss"] == 0.5
    assert line["examples_per_second"] > 0
    state.is_world_process_zero = False
    file.on_log(None, state, None, logs={"loss": 0.5})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
