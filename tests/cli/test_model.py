import json
from pathlib import Path

from tests.cli.conftest import Unite


def test_info_names_all_that_shapes_a_vector(unite: Unite, tiny: Path) -> None:
    row = json.loads(unite("model", "info", tiny, "--json").stdout)
    assert row["dim"] == 32
    assert row["tensors"] > 50
    assert set(row["policy"]) >= {"pixels", "frames", "prompt", "positions", "pooling"}
    words = unite("model", "info", tiny).output
    assert row["id"] in words


def test_an_unknown_model_lists_the_known(unite: Unite) -> None:
    result = unite("model", "info", "instruct-3b")
    assert result.exit_code == 1
    assert "instruct-2b" in str(result.exception)
