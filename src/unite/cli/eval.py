"""`unite eval`: score a model, compare runs, report."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.evaluation.facts import Benchmark

app = typer.Typer(help="Score a model on retrieval tasks.", no_args_is_help=True)
DATA = Path("data")
SOME_FAILED = 3
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.callback()
def main() -> None:
    """Score a model on retrieval tasks."""


@app.command("list")
def list_(
    suites: Annotated[
        list[str] | None, typer.Argument(help="Suites or single names, told in full.")
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder of the benchmarks.")] = DATA,
    as_json: Json = False,
) -> None:
    """Show every benchmark and whether its data are there; of named ones, what they need."""
    from rich.console import Console

    from unite.cli import eval_tables
    from unite.evaluation.registry import BENCHMARKS, select

    chosen = select(suites) if suites else BENCHMARKS
    if as_json:
        typer.echo(json.dumps([_facts(one, data) for one in chosen], indent=2))
        return
    Console().print(eval_tables.benchmarks(chosen, data))
    for one in chosen if suites else ():
        typer.echo(f"\n{eval_tables.facts(one, data)}")


@app.command("run")
def run(
    suites: Annotated[list[str], typer.Argument(help="Suites or single names: see `eval list`.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the benchmarks.")] = DATA,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the run as JSON.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of kept vectors.", show_default="DATA/.vectors")
    ] = None,
    dual_softmax: Annotated[
        bool, typer.Option("--dual-softmax", help="Score dual-softmax re-ranking beside.")
    ] = False,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Ask all queries of all galleries together as well.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the bootstrap intervals.")] = 0,
) -> None:
    """Run every task of some suites and print R@1, R@5 and R@10.

    An interrupted run goes on where it stopped. What cannot be embedded counts as missed; the
    exit code is then 3.
    """
    from rich.console import Console

    from unite.cli import eval_tables
    from unite.cli.evaluate import evaluate
    from unite.evaluation.registry import read_all, select
    from unite.evaluation.report import LOST, sizes_that_differ
    from unite.evaluation.saved import write_run
    from unite.evaluation.task import union

    benchmarks = select(suites)
    kept = cache or data / ".vectors"
    # Taken now: a file that changes while a model embeds is not what was asked.
    annotations = {one.name: one.fingerprint(data) for one in benchmarks}
    tasks = read_all(benchmarks, data)
    if mixed:
        tasks.append(union(tasks))
    _assert_places(out, kept)
    done = evaluate(
        model, data, tasks, dtype=dtype, cache=kept, seed=seed, rerank=dual_softmax,
    )  # fmt: skip
    if out is not None:
        settings = {"dtype": " and ".join(done.dtypes), "seed": seed, "mixed": mixed,
                    "dual softmax": dual_softmax}  # fmt: skip
        write_run(
            out,
            done,
            model=model,
            benchmarks=benchmarks,
            annotations=annotations,
            settings=settings,
        )
    scores = [result.score for result in done.results]
    console = Console()
    for split in dict.fromkeys(score.split for score in scores):
        one = [score for score in scores if score.split == split]
        console.print(eval_tables.scores(split, {model: one}))
    queries = sum(score.failed_queries for score in scores)
    candidates = sum(score.failed_candidates for score in scores)
    if queries:
        typer.echo(f"unite: {queries} queries could not be embedded: missed", err=True)
    if candidates:
        typer.echo(f"unite: {candidates} candidates could not be embedded: {LOST}", err=True)
    for score in scores:
        for said in sizes_that_differ(score):
            typer.echo(f"unite: {score.task} {said}", err=True)
    if queries or candidates:
        raise typer.Exit(SOME_FAILED)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="JSON of a run.")],
    second: Annotated[Path, typer.Argument(help="JSON of another.")],
    seed: Annotated[int, typer.Option(min=0, help="Of permutations and resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare two runs task by task, with a paired permutation test."""
    from rich.console import Console

    from unite.cli import eval_tables
    from unite.evaluation.comparison import compare as compared

    found = compared(first, second, seed=seed)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    Console().print(eval_tables.comparison(found, (first.stem, second.stem)))
    for name in found.only:
        typer.echo(f"not compared: {name}")
    for note in found.notes:
        typer.echo(note)


@app.command("report")
def report(
    runs: Annotated[list[Path], typer.Argument(help="JSON of runs, a column each.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
) -> None:
    """Write tables beside published scores, pictures, and a sheet of what went wrong."""
    from functools import cache

    from unite.evaluation import charts, failures, report, tables
    from unite.evaluation.saved import read_run
    from unite.library.thumbnails import thumbnails
    from unite.sheets import write_html, write_png
    from unite.whole import write_text

    read = [read_run(path) for path in runs]
    rows, names = report.rows(read), tables.labels(read)
    drawn = {"bars.svg": charts.bars(rows, names), "radar.svg": charts.radar(rows, names)}
    pictures = {name: svg for name, svg in drawn.items() if svg is not None}
    out.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures.items():
        write_text(out / name, svg)
    write_text(out / "report.md", tables.markdown(read, rows))
    write_text(out / "report.html", tables.html(read, rows, list(pictures.values())))
    sections = failures.sections(read)
    if sections:
        opened = cache(thumbnails)  # both sheets show the same media
        write_html(out / "failures.html", sections, opened, title="What went wrong")
        write_png(out / "failures.png", sections, opened)
    for path in sorted(out.iterdir()):
        typer.echo(path)


def _assert_places(out: Path | None, kept: Path) -> None:
    """Refuse places that cannot be written before a model is opened.

    Raises:
        DataError: One cannot.
    """
    from unite.errors import DataError
    from unite.whole import assert_writable

    if out is not None and out.is_dir():
        raise DataError(f"{out} is a folder.", f"Name a file: -o {out / 'run.json'}")
    for folder, remedy in ((kept, "--cache DIR"), (out and out.parent, "-o FILE")):
        try:
            if folder is not None:
                assert_writable(folder)
        except OSError as error:
            raise DataError(
                f"Cannot write into {folder}: {error.strerror}.", f"Name another place: {remedy}"
            ) from error


def _facts(benchmark: Benchmark, data: Path) -> dict[str, object]:
    missing = [need.path for need in benchmark.missing(data)]
    return {**asdict(benchmark), "there": not missing, "missing": missing}
