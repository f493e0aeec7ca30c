import json
from pathlib import Path

import pytest
from tests.cli.conftest import Unite
from tests.cli.media import write_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    for number in range(3):
        write_picture(place / f"{number}.png")
        (place / f"{number}.txt").write_text(f"number {number}")
    (place / "broken.png").write_bytes(b"no picture")
    return place


def test_the_figures_of_each_kind_of_file(unite: Unite, tiny: Path, folder: Path) -> None:
    result = unite("bench", "embed", folder, "-m", tiny, "--workers", 0, "--json")
    assert result.exit_code == 0
    kinds = {row["kind"]: row for row in json.loads(result.stdout)["kinds"]}
    assert {kind: row["items"] for kind, row in kinds.items()} == {"image": 4, "text": 3, "all": 7}
    assert [row["failed"] for row in kinds.values()] == [1, 0, 1]
    assert all(row["items_per_second"] > 0 for row in kinds.values())


def test_a_table_for_people(unite: Unite, tiny: Path, folder: Path) -> None:
    result = unite("bench", "embed", folder, "-m", tiny, "--workers", 0, "--limit", 5)
    assert result.exit_code == 0
    assert "items/s" in result.stdout
    assert "text" in result.stdout


def test_nothing_to_measure_is_told(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("{}\n")
    assert "no item" in str(unite("bench", "embed", path, "-m", tiny).exception)
