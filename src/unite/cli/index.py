"""`unite index`: bring a library up to date with files and folders."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from unite.cli.printable import printable, skipped
from unite.library.segments import How

if TYPE_CHECKING:
    from unite.embedder import Embedder
    from unite.library.ingest import Outcome
    from unite.library.library import Library, LibraryFacts
    from unite.library.progress import Progress

DEFAULT_MODEL = "mini"
FAILURES_SHOWN = 20


class Tell(Protocol):
    """Prints an outcome; `kinds` are those of skipped files that were told before."""

    def __call__(self, outcome: Outcome, kinds: Collection[str] = ()) -> None:
        """Print it."""


def index(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders: pictures, clips, texts, PDFs; a list of items or captions"
            " (.jsonl, .csv) by its name."
        ),
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
    segments: Annotated[
        How | None,
        typer.Option(
            help="What a new library does with clips: cut into scenes (the default where"
            " PySceneDetect is installed), into equal windows, or leave whole."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where a new library keeps its vectors, if not in its folder: s3://bucket/path"
            " or qdrant+http://host:6333/collection."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--watch", help="Stay and index what changes; ends with Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Index media files into a library, incrementally.

    Unchanged files cost nothing, renamed ones keep their vectors, and what was deleted beneath the
    given paths is dropped. A short .txt beside a picture or clip of the same name is its caption.
    Clips are found as a whole and by segment. Interrupted at any point, it goes on when run again.

    Exits with 3 when a file of a supported kind could not be indexed.
    """
    from unite.cli.progress import progress_bars
    from unite.library.ingest import ingest
    from unite.library.scan import assert_all_there
    from unite.media.pool import cores

    workers = cores() if workers is None else workers
    assert_all_there(paths)  # before a library is made that a wrong command would leave behind
    opened, encoder = _open(library, model, workers, segments, store)
    tell = _tell_json if as_json else _tell
    with encoder, progress_bars() as show:

        def on_progress(now: Progress) -> None:
            show("indexing", now.done, now.total, now.failed)

        if follow:
            _follow(opened, paths, encoder, workers, tell, on_progress)
            return
        outcome = ingest(opened, paths, encoder, workers=workers, on_progress=on_progress)
    tell(outcome)
    if outcome.failed:
        raise typer.Exit(3)


def _follow(
    library: Library,
    paths: list[Path],
    encoder: Embedder,
    workers: int,
    tell: Tell,
    on_progress: Callable[[Progress], None],
) -> None:
    """Index until told to stop; after the first run only news are told."""
    from unite.library.watch import watch

    told: dict[str, str] | None = None
    kinds: set[str] = set()

    def on_outcome(outcome: Outcome) -> None:
        nonlocal told
        if told is None:
            tell(outcome)
            typer.echo("watching; Ctrl-C ends it", err=True)
        elif _is_news(outcome, told) or not outcome.kinds_skipped.keys() <= kinds:
            tell(outcome, kinds)
        told = {**(told or {}), **outcome.failed}
        kinds.update(outcome.kinds_skipped)

    watch(
        library,
        paths,
        encoder,
        workers=workers,
        on_outcome=on_outcome,
        on_refusal=lambda error: typer.echo(f"later: {error}", err=True),
        on_progress=on_progress,
    )


def _is_news(outcome: Outcome, told: dict[str, str]) -> bool:
    changes = outcome.added + outcome.changed + outcome.moved + outcome.removed
    return bool(changes) or not outcome.failed.items() <= told.items()


def _open(
    path: Path, model: str | None, workers: int, how: How | None, store: str | None
) -> tuple[Library, Embedder]:
    """Open the library with its model, or make it."""
    from unite.embedder import Embedder
    from unite.library.library import VECTORS, Library
    from unite.library.segments import Segmenting

    facts = Library.facts_of(path) if Library.exists(path) else None
    if facts:
        _check_settings(path, facts, how, store)
    name = model or (facts.model if facts else DEFAULT_MODEL)
    encoder = Embedder.open(name, workers=workers)
    if facts:
        return Library.open(path, model_id=encoder.model_id, dim=encoder.dim), encoder
    made = Library.create(
        path,
        model_id=encoder.model_id,
        model=_lasting(name),
        dim=encoder.dim,
        mixed_gallery=encoder.mixed_gallery,
        segmenting=Segmenting(how=how) if how else None,
        store=store or VECTORS,
    )
    if how is None and made.facts.segmenting.how != "scenes":
        typer.echo(
            "note: clips are cut into equal windows, as PySceneDetect is not installed"
            " (pip install 'unite-embed[scenes]'); this library keeps to that",
            err=True,
        )
    return made, encoder


def _lasting(model: str) -> str:
    """A model's name that means the same in every folder."""
    from unite.paths import expanded

    path = expanded(model)
    return str(path.resolve()) if model != DEFAULT_MODEL and path.is_dir() else model


def _check_settings(path: Path, facts: LibraryFacts, how: How | None, store: str | None) -> None:
    """A library keeps what it was made with."""
    from unite.errors import LibraryError

    for flag, given, held in (
        ("--segments", how, facts.segmenting.how),
        ("--store", store, facts.store),
    ):
        if given not in (None, held):
            raise LibraryError(
                f"{path} was made with {flag} {held}, not {given}.",
                f"Leave out {flag}, or index into a new library.",
            )


def _tell_json(outcome: Outcome, kinds: Collection[str] = ()) -> None:
    del kinds  # a program is told all of them each time
    typer.echo(json.dumps(asdict(outcome)))


def _tell(outcome: Outcome, kinds: Collection[str] = ()) -> None:
    """In words; of files that were skipped only the kinds that were not told before."""
    typer.echo(_in_words(outcome))
    new = {kind: count for kind, count in outcome.kinds_skipped.items() if kind not in kinds}
    if new:
        typer.echo(skipped(new), err=True)
    _report(outcome)


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
        typer.echo(printable(f"note: {named[0]}{more}: {note}"), err=True)
    for path, reason in list(outcome.failed.items())[:FAILURES_SHOWN]:
        typer.echo(printable(f"failed: {path}: {reason}"), err=True)
    left = len(outcome.failed) - FAILURES_SHOWN
    if left > 0:
        typer.echo(f"failed: {left} more; --json lists them all", err=True)
