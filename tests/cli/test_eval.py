import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from tests.cli.conftest import Unite

from unite.cli import eval_tables
from unite.evaluation.registry import BENCHMARKS
from unite.evaluation.results import Score
from unite.evaluation.saved import read_run
from unite.world.build import build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("eval") / "world"
    build_world(directory, 40, 1)
    return directory


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny: Path, world: Path) -> Path:
    """A run of the small world, with vectors kept beside the world."""
    from typer.testing import CliRunner

    from unite.cli.main import app

    out = tmp_path_factory.mktemp("runs") / "first.json"
    words = ["eval", "run", "world", "-m", str(tiny), "--data", str(world), "-o", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    assert "t2v_temporal" in result.output
    return out


def test_every_task_of_both_splits_is_scored(saved: Path, world: Path) -> None:
    scores = read_run(saved).scores
    files = {(path.parent.name, path.stem) for path in (world / "eval").glob("*/*.json")}
    assert {(score.split, score.task) for score in scores} == files
    assert all(0 <= score.recall[1] <= score.recall[5] <= score.recall[10] <= 1 for score in scores)
    mixed = [score for score in scores if score.task == "mixed"]
    assert all(score.wrong_modality is not None and score.by_target for score in mixed)
    console = Console(width=80, record=True, file=io.StringIO())
    one = [score for score in scores if score.split == "seen_combinations"]
    columns = {"untrained": one, "stage 1": one, "stage 2": one}
    console.print(eval_tables.scores("Three columns", columns))
    assert "…" not in console.export_text()


def test_scoring_again_with_kept_vectors_gives_the_same(
    unite: Unite, tiny: Path, world: Path, saved: Path, tmp_path: Path
) -> None:
    assert list((world / ".vectors").glob("*/*.npy"))
    out = tmp_path / "kept.json"
    unite("eval", "run", "world", "-m", tiny, "--data", world, "-o", out)
    assert json.loads(out.read_text()) == json.loads(saved.read_text())


def test_scoring_anew_gives_the_same_but_for_rounding(
    unite: Unite, tiny: Path, world: Path, saved: Path, tmp_path: Path
) -> None:
    """A random model's cosines are close together: rounding may swap a pair of neighbours."""
    out = tmp_path / "fresh.json"
    words = ("eval", "run", "world", "-m", tiny, "--data", world, "-o", out)
    unite(*words, "--cache", tmp_path / "none")
    one, other = read_run(out).scores, read_run(saved).scores
    assert [(score.split, score.task) for score in one] == [
        (score.split, score.task) for score in other
    ]
    for left, right in zip(one, other, strict=True):
        assert left.recall[10] == pytest.approx(right.recall[10], abs=0.05)


def test_a_run_equals_itself_and_a_report_is_written(
    unite: Unite, saved: Path, tmp_path: Path
) -> None:
    result = unite("eval", "compare", saved, saved, "--json")
    found = json.loads(result.output)
    assert {task["difference"]["p"] for task in found["tasks"]} == {1.0}
    assert {task["corrected_p"] for task in found["tasks"]} == {1.0}
    assert found["only"] == found["notes"] == []
    table = unite("eval", "compare", saved, saved).output
    assert "[interval at 95 %]; p of a paired" in table
    assert "…" not in table  # no number is cut, however narrow the terminal
    out = tmp_path / "report"
    result = unite("eval", "report", saved, saved, "-o", out)
    assert result.exit_code == 0, result.exception
    assert "t2i_fine" in (out / "report.md").read_text()
    page = (out / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    with Image.open(out / "failures.png") as sheet:
        assert sheet.width > 500


def test_what_is_there_and_what_is_missing_is_listed(
    unite: Unite, world: Path, tmp_path: Path
) -> None:
    rows = json.loads(unite("eval", "list", "--data", world, "--json").output)
    assert [row["name"] for row in rows] == [benchmark.name for benchmark in BENCHMARKS]
    there = {row["name"]: row["there"] for row in rows}
    assert [name for name, is_there in there.items() if is_there] == ["world"]
    assert "carebench-temporal" in unite("eval", "list", "--data", tmp_path).output
    told = unite("eval", "list", "docci", "--data", tmp_path).output
    assert f"missing: {tmp_path / 'docci' / 'docci_descriptions.jsonlines'}" in told
    assert "https://storage.googleapis.com/docci" in told
    assert "msrvtt" not in told


def test_items_that_cannot_be_embedded_end_with_3(unite: Unite, tiny: Path, tmp_path: Path) -> None:
    root = tmp_path / "Urban1k"
    for folder in ("image", "caption"):
        (root / folder).mkdir(parents=True)
    for name in ("1", "2"):
        (root / "caption" / f"{name}.txt").write_text(f"picture {name}")
    Image.new("RGB", (30, 30)).save(root / "image" / "1.jpg")
    out = tmp_path / "out.json"
    result = unite("eval", "run", "urban1k", "-m", tiny, "--data", tmp_path, "-o", out,
                   "--dual-softmax", "--mixed")  # fmt: skip
    assert result.exit_code == 3
    t2i, i2t, mixed = read_run(out).scores
    assert mixed.by_target.keys() == {"text", "image"}
    assert mixed.candidates == t2i.candidates + i2t.candidates
    assert (t2i.failed_candidates, i2t.failed_queries) == (1, 1)
    assert t2i.main <= 0.5
    assert t2i.reranked is not None
    failures = json.loads(out.read_text())["failures"]
    assert [row["id"] for row in failures[:2]] == ["2", "2"]
    assert "2.jpg" in failures[0]["error"]


def test_a_suite_or_data_that_is_not_there_is_named(
    unite: Unite, tiny: Path, tmp_path: Path
) -> None:
    unknown = unite("eval", "run", "word", "-m", tiny, "--data", tmp_path)
    assert "'world'" in str(unknown.exception)
    empty = unite("eval", "run", "world", "-m", tiny, "--data", tmp_path)
    assert "unite world" in str(empty.exception)
    no_run = tmp_path / "a.json"
    no_run.write_text("{}")
    assert "is no run" in str(unite("eval", "compare", no_run, no_run).exception)


def test_places_that_cannot_be_written_are_told_before_anything_is_embedded(
    unite: Unite, tiny: Path, world: Path, tmp_path: Path
) -> None:
    words = ("eval", "run", "world", "-m", tiny, "--data", world, "-o")
    assert "is a folder" in str(unite(*words, tmp_path).exception)
    (tmp_path / "file").write_text("")
    into = unite(*words, tmp_path / "out.json", "--cache", tmp_path / "file")
    assert "--cache DIR" in str(into.exception)
    assert not (tmp_path / "out.json").exists()


def test_names_are_shown_as_they_are() -> None:
    score = Score(
        task="t[/x][bold]", split="s[beta]", family="f", queries=1, candidates=1, main_score="R@1",
        metrics=dict.fromkeys(("R@1", "R@5", "R@10"), 1.0), intervals={}, by_target={},
    )  # fmt: skip
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(eval_tables.scores("s[beta]", {"mm[bold]": [score]}))
    shown = console.export_text()
    assert all(name in shown for name in ("t[/x][bold]", "s[beta]", "mm[bold]"))
