"""`unite search`: ask a library with words, a picture, a clip, or several together."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unite.library.search import SearchResult
    from unite.stores.filters import Filter
    from unite.stores.protocol import Found
    from unite.types import Item


def search(
    library: Annotated[Path, typer.Option("--library", "-l", help="The library's folder.")],
    text: Annotated[str | None, typer.Argument(help="Words to search for.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture to search by.")] = None,
    video: Annotated[Path | None, typer.Option(help="A clip to search by.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of hits.")] = 10,
    only: Annotated[
        str | None, typer.Option(help="Modalities that may be found, such as image,video.")
    ] = None,
    where: Annotated[
        str, typer.Option(help="What may be found, such as 'path:*/2024/* -tag:draft longer:10s'.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the hits as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet to this file.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Rank by cosine alone, across modalities.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Default: the library's own.")
    ] = None,
) -> None:
    """Search a library. Words, a picture and a clip given together make one fused query."""
    from unite.library.library import Library
    from unite.library.search import search as find
    from unite.stores.grammar import parse_filter

    query = _query(text, image, video)
    admitted = parse_filter(where) & _labels(only)
    opened = Library.open(library)
    opened.check_filled()

    from unite.embedder import Embedder

    encoder = Embedder.open(model or opened.facts.model)
    result = find(opened, encoder, query, k=k, where=admitted, ranking="cosine" if raw else None)
    if html:
        _write_sheet(html, query, result)
    if as_json:
        typer.echo(_as_json(result))
    elif result.found:
        _print(result)
    if not result.found:
        typer.echo("Nothing in the library passes the filter.", err=True)


def _query(text: str | None, image: Path | None, video: Path | None) -> Item:
    """What was asked, as one item."""
    from unite.errors import ItemError, MediaError
    from unite.types import Clip, Item

    if not text and image is None and video is None:
        raise ItemError("There is nothing to search for.", "Give words, --image or --video.")
    for file in (image, video):
        if file is not None and not file.is_file():
            raise MediaError(f"{file} is not a file.", "Check the path.")
    return Item(
        text=text or None,
        images=() if image is None else (str(image),),
        videos=() if video is None else (Clip(str(video)),),
    )


def _labels(only: str | None) -> Filter:
    """``image,text+image`` as a condition on the labels that records carry."""
    from unite.stores.filters import EVERYTHING, AnyOf, HasModality
    from unite.types import Modality

    if only is None:
        return EVERYTHING
    return AnyOf(tuple(HasModality(Modality.parse(word).label) for word in only.split(",")))


def _as_json(result: SearchResult) -> str:
    hits = [
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
    return json.dumps({"ranking": result.ranking, "hits": hits})


def _print(result: SearchResult) -> None:
    """A table; into a pipe it is as wide as its paths need."""
    from rich.console import Console

    from unite.library.search import HOW

    longest = max(len(found.record.path) for found in result.found)
    width = None if sys.stdout.isatty() else longest + 120
    console = Console(width=width, highlight=False)
    console.print(_table(result.found))
    console.print(HOW[result.ranking], style="dim", soft_wrap=True)


def _table(found: list[Found]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("modality", no_wrap=True)
    table.add_column("path", overflow="fold")
    table.add_column("times", no_wrap=True)
    words = any(one.record.text for one in found)
    if words:
        table.add_column("text", overflow="ellipsis", no_wrap=True, max_width=60)
    for rank, one in enumerate(found, 1):
        it = one.record
        cells = [str(rank), f"{one.score:.4f}", it.modality, it.path, _times(it.start, it.end)]
        snippet = [" ".join(it.text.split())[:200]] if words else []
        table.add_row(*(Text(cell) for cell in [*cells, *snippet]))
    return table


def _times(start: float | None, end: float | None) -> str:
    if start is None and end is None:
        return ""
    return f"{start or 0.0:.1f}–{'end' if end is None else f'{end:.1f}'} s"


def _write_sheet(path: Path, query: Item, result: SearchResult) -> None:
    from unite.library.search import HOW
    from unite.library.thumbnails import thumbnails
    from unite.sheets import Section, SheetHit, write_html

    hits = [
        SheetHit(it.path, it.modality, one.score, it.text, it.start, it.end)
        for one in result.found
        for it in [one.record]
    ]
    title = query.text or ", ".join([*map(str, query.images), *(c.path for c in query.videos)])
    write_html(path, [Section(title, query, hits, HOW[result.ranking])], thumbnails, title="Search")
    typer.echo(f"wrote {path}", err=True)
