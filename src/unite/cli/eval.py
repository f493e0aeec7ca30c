"""`unite eval`: score a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unite.evaluation.runner import Score

app = typer.Typer(help="Score a model on retrieval tasks.", no_args_is_help=True)
SMALL_WORLD = "small-world"


@app.callback()
def main() -> None:
    """Score a model on retrieval tasks."""


@app.command("run")
def run(
    suite: Annotated[str, typer.Argument(help="The suite: small-world.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    data: Annotated[Path, typer.Option("--data", help="The suite's folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write scores as JSON.")] = None,
) -> None:
    """Run every task of a suite and print R@1, R@5 and R@10."""
    from rich.console import Console

    from unite.errors import DataError, did_you_mean

    if suite != SMALL_WORLD:
        raise DataError(f"There is no suite {suite!r}.", did_you_mean(suite, [SMALL_WORLD]))
    scores = evaluate(model, data)
    if out is not None:
        write_scores(out, model, scores)
    console = Console()
    for split in dict.fromkeys(score.split for score in scores):
        console.print(table(split, {model: [score for score in scores if score.split == split]}))


def evaluate(model: str, data: Path) -> list[Score]:
    """Score a model on a small world's tasks, its media decoded once and kept."""
    from unite.cli.progress import progress_bars
    from unite.embedder import Embedder
    from unite.evaluation.runner import run_tasks
    from unite.evaluation.task import read_suite
    from unite.model.checkpoint import load_model
    from unite.model.pixel_cache import PixelCache
    from unite.model.preprocess import Preprocessor, media_of

    tasks = read_suite(data)
    loaded = load_model(model)
    cache = PixelCache(data / ".decoded", Preprocessor(loaded.tokenizer, loaded.policy))
    items = [item for task in tasks for item in (*task.queries, *task.candidates)]
    with progress_bars() as show:
        cache.fill(
            media_of(items), progress=lambda done, total: show("evaluation: decoding", done, total)
        )
        return run_tasks(
            Embedder(loaded, see=cache.see),
            tasks,
            progress=lambda done, total: show("evaluation: embedding", done, total),
        )


def write_scores(path: Path, model: str, scores: list[Score]) -> None:
    """Write scores as JSON, atomically."""
    row = {"model": model, "scores": [score.to_json() for score in scores]}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def read_scores(path: Path) -> list[Score]:
    """Read what `write_scores` wrote."""
    from unite.evaluation.runner import Score

    row = json.loads(path.read_text(encoding="utf-8"))
    return [Score.from_json(score) for score in row["scores"]]


def table(title: str, columns: dict[str, list[Score]]) -> Table:
    """R@1/5/10 of each task and its gallery's size, a column for each model or moment.

    Args:
        title: Of the table.
        columns: Scores by the column's name; all of the same tasks in the same order.
    """
    from rich import box
    from rich.table import Table

    # Three columns of a terminal of 80 characters, to the last one.
    grid = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    grid.add_column("task", no_wrap=True)
    grid.add_column("of", justify="right", no_wrap=True)
    for name in columns:
        grid.add_column(f"{name}\nR@1  R@5 R@10", justify="right", no_wrap=True)
    for rows in zip(*columns.values(), strict=True):
        cells = [" ".join(f"{value:.2f}" for value in score.recall.values()) for score in rows]
        grid.add_row(rows[0].task, str(rows[0].candidates), *cells)
    return grid
