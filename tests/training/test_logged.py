from __future__ import annotations

from pathlib import Path

from unite.training.logged import read_metrics


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert list(read_metrics(path)) == []
    path.write_bytes(b'{"step": 1}\n{"step": 2, "lo\n7\n{"step": 3}\n{"st\xff')
    assert list(read_metrics(path)) == [{"step": 1}, {"step": 3}]
