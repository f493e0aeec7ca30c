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


def test_check_stores_and_compares(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    stored = tmp_path / "golden.json"
    first = unite("model", "check", tiny, "--save-golden", stored)
    assert first.exit_code == 0, first.exception
    assert "do not move its vectors" in first.output
    again = unite("model", "check", tiny, "--golden", stored)
    assert again.exit_code == 0, again.exception
    assert "are those stored" in again.output
    row = json.loads(stored.read_text())
    row["vectors"]["image"] = [-value for value in row["vectors"]["image"]]
    stored.write_text(json.dumps(row))
    other = unite("model", "check", tiny, "--golden", stored)
    assert other.exit_code == 1
    assert "DIFFER" in other.output
    told = json.loads(unite("model", "check", tiny, "--golden", stored, "--json").stdout)
    assert (told["sound"], told["same"]) == (True, False)
    assert told["golden"]["image"]["cosine"] < -0.99


def test_convert_writes_a_whole_model(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    result = unite("model", "convert", tiny, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    one, other = (
        json.loads(unite("model", "info", path, "--json").stdout)
        for path in (tiny, tmp_path / "out")
    )
    assert one["id"] == other["id"]


def test_merge_refuses_what_is_no_adapter(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    result = unite("model", "merge", tiny, tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "adapter_config.json" in str(result.exception)
    assert not (tmp_path / "out").exists()
