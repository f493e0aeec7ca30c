"""`unite index`: bring a library up to date with files and folders."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.embedder import Embedder
    from unite.library.ingest import Outcome
    from unite.library.library import Library
    from unite.library.progress import Progress

DEFAULT_MODEL = "mini"
FAILURES_SHOWN = 20


def index(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files and folders: images, videos, texts; an item file by its name."),
    ],
    library: Annotated[
        Path, typer.Option("--library", "-l", help="The library's folder; made when missing.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Default: the library's own, or mini for a new one."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode; by default one a core. 0: threads."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Index media files into a library, incrementally.

    Unchanged files cost nothing, renamed ones keep their vectors, and what was deleted beneath the
    given paths is dropped. Exits with 3 when a file of a supported kind could not be indexed.
    """
    from unite.library.ingest import ingest
    from unite.media.pool import cores

    opened, encoder = _open(library, model, cores() if workers is None else workers)
    with encoder, _progress() as on_progress:
        outcome = ingest(opened, paths, encoder, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
    else:
        typer.echo(_in_words(outcome))
        _report(outcome)
    if outcome.failed:
        raise typer.Exit(3)


def _open(path: Path, model: str | None, workers: int) -> tuple[Library, Embedder]:
    """Open the library with its model, or make it."""
    from unite.embedder import Embedder
    from unite.library.library import Library

    facts = Library.facts_of(path) if Library.exists(path) else None
    name = model or (facts.model if facts else DEFAULT_MODEL)
    encoder = Embedder.open(name, workers=workers)
    if facts:
        return Library.open(path, model_id=encoder.model_id, dim=encoder.dim), encoder
    made = Library.create(
        path,
        model_id=encoder.model_id,
        model=name,
        dim=encoder.dim,
        mixed_gallery=encoder.mixed_gallery,
    )
    return made, encoder


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with rate, remaining time and failures; nothing where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} files/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, rate=0.0, failed=0)

        def show(now: Progress) -> None:
            rate = bar.tasks[0].speed or 0.0
            bar.update(task, completed=now.done, total=now.total, rate=rate, failed=now.failed)

        yield show


def _in_words(outcome: Outcome) -> str:
    verbs = ("added", "changed", "kept", "moved", "removed", "skipped")
    counts = [f"{getattr(outcome, verb)} {verb}" for verb in verbs]
    return ", ".join([*counts, f"{len(outcome.failed)} failed"])


def _report(outcome: Outcome) -> None:
    """Failures and notes on stderr, the first of them in full; equal notes once."""
    paths = defaultdict(list)
    for path, note in outcome.notes.items():
        paths[note].append(path)
    for note, named in list(paths.items())[:FAILURES_SHOWN]:
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        typer.echo(f"note: {named[0]}{more}: {note}", err=True)
    for path, reason in list(outcome.failed.items())[:FAILURES_SHOWN]:
        typer.echo(f"failed: {path}: {reason}", err=True)
    left = len(outcome.failed) - FAILURES_SHOWN
    if left > 0:
        typer.echo(f"failed: {left} more; --json lists them all", err=True)
