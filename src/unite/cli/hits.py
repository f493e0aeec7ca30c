"""The answer to a search as a table, as JSON and as a contact sheet."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unite.cli.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from unite.library.search import SearchResult
    from unite.library.terms import Term
    from unite.stores.protocol import Record

SNIPPET = 200


def as_json(result: SearchResult, first: int) -> str:
    """One object: how it was ranked, each modality's share, the hits, where the next page begins.

    Args:
        result: The answer.
        first: Number of hits on the pages before.
    """
    hits: list[dict[str, Any]] = [
        {
            "id": hit.id,
            "path": hit.path,
            "modality": hit.modality,
            "score": hit.score,
            "start": hit.start,
            "end": hit.end,
        }
        for hit in result.hits
    ]
    for hit, folded in zip(hits, result.folded, strict=False):  # none where all are shown
        hit |= {"segments": folded.segments, "copies": folded.copies}
    row = {
        "ranking": result.ranking,
        "shares": result.shares,
        "hits": hits,
        "next": first + len(hits) if result.more else None,
    }
    return json.dumps(row)


def print_hits(result: SearchResult, first: int) -> None:
    """A table; into a pipe it is as wide as its paths need.

    Args:
        result: The answer.
        first: Number of hits on the pages before.
    """
    from rich.console import Console

    longest = max(len(found.record.path) for found in result.found)
    width = None if sys.stdout.isatty() else longest + 140
    console = Console(width=width, highlight=False)
    console.print(_table(result, first, console))
    console.print(_caption(result, first), style="dim", soft_wrap=True)


def write_sheet(path: Path, terms: Sequence[Term], result: SearchResult, first: int) -> None:
    """Write a contact sheet.

    Args:
        path: The HTML file.
        terms: What was asked; its first item is shown.
        result: The answer.
        first: Number of hits on the pages before.
    """
    from unite.library.thumbnails import thumbnails
    from unite.sheets import Section, SheetHit, write_html
    from unite.types import Item

    hits = [
        SheetHit(it.path, it.modality, one.score, it.text, it.start, it.end)
        for one in result.found
        for it in [one.record]
    ]
    title = " ".join(_named(term) for term in terms).removeprefix("+ ")
    shown = next((term.of for term in terms if isinstance(term.of, Item)), Item(text=title))
    write_html(
        path, [Section(title, shown, hits, _caption(result, first))], thumbnails, title="Search"
    )
    typer.echo(f"wrote {path}", err=True)


def _caption(result: SearchResult, first: int) -> str:
    """How it is ranked, and how many hits are of each modality."""
    from unite.library.search import HOW

    count = len(result.found)
    shares = ", ".join(f"{label} {share * count:.0f}" for label, share in result.shares.items())
    more = f" · more: --page {first // count + 2}" if result.more else ""
    return f"{HOW[result.ranking]} · {shares} of {count}{more}"


def _table(result: SearchResult, first: int, console: Console) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from unite.cli.pictures import pictures

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = pictures([found.record for found in result.found], console)
    words = any(one.record.text for one in result.found)
    notes = [_folded(result, place) for place in range(len(result.found))]
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    if shown:
        table.add_column("")
    table.add_column("modality", no_wrap=True)
    table.add_column("path", overflow="fold")
    table.add_column("times", no_wrap=True)
    if words:
        table.add_column("text", overflow="ellipsis", no_wrap=True, max_width=60)
    if any(notes):
        table.add_column("also", no_wrap=True)
    for place, one in enumerate(result.found):
        it = one.record
        cells: list[RenderableType] = [Text(str(first + place + 1)), Text(f"{one.score:.4f}")]
        cells += [shown[place]] if shown else []
        cells += [Text(it.modality), Text(printable(it.path)), Text(_times(it))]
        cells += [Text(printable(" ".join(it.text.split()))[:SNIPPET])] if words else []
        table.add_row(*cells, *([Text(notes[place])] if any(notes) else []))
    return table


def _folded(result: SearchResult, place: int) -> str:
    """What a hit stands for beside itself: ``3 parts, 1 copy``."""
    if not result.folded:
        return ""
    hit = result.folded[place]
    counts = ((hit.segments, "part", "parts"), (len(hit.copies), "copy", "copies"))
    return ", ".join(
        f"+{count} {one if count == 1 else many}" for count, one, many in counts if count
    )


def _times(it: Record) -> str:
    if it.start is None and it.end is None:
        return ""
    return f"{it.start or 0.0:.1f}–{'end' if it.end is None else f'{it.end:.1f}'} s"


def _named(term: Term) -> str:
    """A summand as a person reads it."""
    sign = "−" if term.weight < 0 else "+"
    weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}·"
    if isinstance(term.of, str):
        return f"{sign} {weight}{term.of}"
    it = term.of
    parts = [*([it.text] if it.text else []), *map(str, it.images), *(c.path for c in it.videos)]
    return f"{sign} {weight}{', '.join(parts)}"
