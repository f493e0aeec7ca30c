"""`unite data`: training data looked through, and made harder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from unite.cli.mine import mine
from unite.whole import whole

if TYPE_CHECKING:
    from unite.data.check import Fault, Report

SHOWN = 20
SOME_BROKEN = 3
_WORDS = {
    "file": "file",
    "row": "broken",
    "medium": "unreadable",
    "note": "note",
    "target": "target",
    "duplicate": "duplicate",
    "same": "same",
}

app = typer.Typer(help="Check training data; find hard negatives.", no_args_is_help=True)
app.command("mine")(mine)


@app.command("check")
def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="Pair or item files, folders of sets or media, shards."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(help="items, pairs, unite, mmeb, hf, webdataset or folder; else recognised."),
    ] = None,
    subset: Annotated[str | None, typer.Option(help="One set among several.")] = None,
    split: Annotated[str | None, typer.Option(help="One split among several.")] = None,
    media: Annotated[
        Path | None, typer.Option(help="What media paths are relative to, if not to the file.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="Columns, or members of a shard, that are the query.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="Columns, or members of a shard, that are the candidate.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode; by default one a core.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds that decoding one picture or clip may take.")
    ] = 120.0,
    scratch: Annotated[
        Path | None,
        typer.Option(help="Keep here what is unpacked from shards and tables; else it is removed."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="A JSONL file for every fault, one a line.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Read every row and every medium of training data, and say what is broken.

    Exits with 0 if every row can be used and with 3 if some cannot.
    """
    from unite.cli.progress import progress_bars
    from unite.data.check import check_data
    from unite.data.placed import ITEMS
    from unite.data.sources import Source

    options = {"subset": subset, "split": split, "query": query, "candidate": candidate}
    given = None if kind == ITEMS else kind
    sources = {file: Source(path=Path(file), kind=given, media=media, **options) for file in files}
    with _folder(scratch) as extracted, progress_bars() as show:
        found = check_data(
            sources,
            Path(extracted),
            items=kind == ITEMS,
            workers=workers or os.cpu_count() or 1,
            seconds=seconds,
            progress=show,
        )
    if report is not None:
        _write(report, found.faults)
    if json_:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        _print_counts(found)
        _print_faults(found.faults, report)
    if not found.sound:
        raise typer.Exit(SOME_BROKEN)


def _folder(given: Path | None) -> AbstractContextManager[str | Path]:
    return TemporaryDirectory(prefix="unite-check-") if given is None else nullcontext(given)


def _write(path: Path, faults: Iterable[Fault]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as draft, draft.open("w", encoding="utf-8") as file:
        for fault in faults:
            file.write(json.dumps(asdict(fault), ensure_ascii=False) + "\n")


def _print_counts(found: Report) -> None:
    """The table on stdout; the faults themselves go to stderr."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=False)
    grid.add_column("what", no_wrap=True)
    grid.add_column("figure", justify="right", no_wrap=True)
    for name, figure in _figures(found):
        grid.add_row(name, f"{figure:,}")
    Console().print(grid)


def _figures(found: Report) -> Iterator[tuple[str, int]]:
    yield "rows", found.rows
    yield "of them good", found.rows - found.broken
    for label, count in found.kinds.most_common():
        yield f"  {label}", count
    for kind, count in sorted(found.media.items()):
        yield f"{kind} files", count
        yield "  unreadable", found.unreadable[kind]
    yield "media with a note", found.notes
    yield "rows that repeat one before", found.duplicates
    yield "queries that are their candidates", found.same
    yield "queries with several candidates", found.asked_again
    if found.broken_off:
        yield "files that break off or are empty", found.broken_off


def _print_faults(faults: list[Fault], report: Path | None) -> None:
    order = list(_WORDS)
    faults = sorted(faults, key=lambda fault: order.index(fault.kind))
    for fault in faults[:SHOWN]:
        row = "" if fault.number is None else f", row {fault.number}"
        more = f" and {fault.rows - 1} more" if fault.rows > 1 else ""
        medium = "" if fault.path is None or fault.path in fault.reason else f"{fault.path}: "
        words = f"{_WORDS[fault.kind]}: {fault.source}{row}{more}: {medium}{fault.reason}"
        typer.echo(words, err=True)
    if len(faults) > SHOWN:
        rest = f"… and {len(faults) - SHOWN} more"
        typer.echo(f"{rest} in {report}" if report else f"{rest}: --report FILE", err=True)
