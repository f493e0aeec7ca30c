from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from unite.data.vectors import Output


@pytest.fixture(params=["v.parquet", "v"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    """A file, and a folder of parts."""
    return Output.at(tmp_path / request.param)


def contents(output: Output) -> list[dict[str, Any]]:
    """All rows of a finished output."""
    return [row for path in output.files() for row in pq.read_table(path).to_pylist()]


def left_over(output: Output) -> list[str]:
    """What lies about besides the output and its lock."""
    beside = {one.name for one in output.path.parent.iterdir()} - {output.path.name}
    within = {one.name for one in output.path.iterdir()} if output.is_folder else set()
    held = {path.name for path in output.files()} | {f".{output.path.name}.lock"}
    return sorted((beside | within) - held)
