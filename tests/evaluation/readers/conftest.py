"""Benchmarks of a few rows, scored with an encoder whose directions are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.evaluation.fakes import Compass

from unite.evaluation import registry
from unite.evaluation.results import Result
from unite.evaluation.runner import run

Scored = Callable[[str, Mapping[str, float | None]], dict[str, Result]]


@pytest.fixture
def scored(tmp_path: Path) -> Scored:
    """Read a benchmark from the test's folder and score it."""

    def score(name: str, angles: Mapping[str, float | None]) -> dict[str, Result]:
        tasks = registry.read(registry.benchmark_named(name), tmp_path)
        done = run(tasks, lambda nframes: Compass(angles))
        return {result.score.task: result for result in done.results}

    return score


def ranks(result: Result) -> list[list[float]]:
    """Ranks of all answers, a list a query."""
    return [rank.tolist() for rank in result.ranks]
