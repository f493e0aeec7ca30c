import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.conftest import Unite

from unite.cli.eval import read_scores, table
from unite.world.build import build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("eval") / "world"
    build_world(directory, 40, 1)
    return directory


def test_every_task_of_both_splits_is_scored(
    unite: Unite, tiny: Path, world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    result = unite("eval", "run", "small-world", "-m", tiny, "--data", world, "-o", out)
    assert result.exit_code == 0, result.exception
    scores = read_scores(out)
    files = {(path.parent.name, path.stem) for path in (world / "eval").glob("*/*.json")}
    assert {(score.split, score.task) for score in scores} == files
    assert all(0 <= score.recall[1] <= score.recall[5] <= score.recall[10] <= 1 for score in scores)
    mixed = [score for score in scores if score.task == "mixed"]
    assert all(score.wrong_modality is not None and score.by_target for score in mixed)
    assert "t2v_temporal" in result.output
    console = Console(width=80, record=True, file=io.StringIO())
    one = [score for score in scores if score.split == "seen_combinations"]
    console.print(table("Three columns", {"untrained": one, "stage 1": one, "stage 2": one}))
    assert "…" not in console.export_text()


def test_scoring_twice_gives_the_same(
    unite: Unite, tiny: Path, world: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    for out in outs:
        unite("eval", "run", "small-world", "-m", tiny, "--data", world, "-o", out)
    first, second = (json.loads(out.read_text()) for out in outs)
    assert first == second


def test_a_suite_or_data_that_is_not_there_is_named(
    unite: Unite, tiny: Path, tmp_path: Path
) -> None:
    unknown = unite("eval", "run", "smal-world", "-m", tiny, "--data", tmp_path)
    assert "small-world" in str(unknown.exception)
    empty = unite("eval", "run", "small-world", "-m", tiny, "--data", tmp_path)
    assert "unite world" in str(empty.exception)
