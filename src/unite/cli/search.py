"""`unite search`: ask a library with words, a picture, a clip, or several together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.library.terms import Term
    from unite.types import Item


def search(
    library: Annotated[Path, typer.Option("--library", "-l", help="The library's folder.")],
    text: Annotated[str | None, typer.Argument(help="Words to search for.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture to search by.")] = None,
    video: Annotated[Path | None, typer.Option(help="A clip to search by.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="What is wanted, such as 'find the clip after this change:'.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Id or path of something in the library: more like it.")
    ] = None,
    plus: Annotated[
        list[str] | None,
        typer.Option(help="Add to the query, such as text:snow, 0.5*image:a.jpg or like:ID."),
    ] = None,
    minus: Annotated[
        list[str] | None, typer.Option(help="Lead away from something, written as for --plus.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of hits.")] = 10,
    page: Annotated[int, typer.Option(min=1, help="Which page of so many hits.")] = 1,
    only: Annotated[
        str | None, typer.Option(help="Modalities that may be found, such as image,video.")
    ] = None,
    where: Annotated[
        str, typer.Option(help="What may be found, such as 'path:*/2024/* -tag:draft longer:10s'.")
    ] = "",
    all_segments: Annotated[
        bool, typer.Option("--all-segments", help="Show every part of a file and every copy.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Score the nearest again in full precision.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the hits as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet to this file.")] = None,
    open_first: Annotated[bool, typer.Option("--open", help="Open the first hit.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Rank by cosine alone, across modalities.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Default: the library's own.")
    ] = None,
) -> None:
    """Search a library. Words, a picture and a clip given together make one fused query."""
    from unite.cli.hits import as_json as written
    from unite.cli.hits import print_hits, write_sheet
    from unite.library.library import Library
    from unite.library.search import search as find
    from unite.stores.filters import of_modalities
    from unite.stores.grammar import parse_filter

    terms = _terms(_query(text, image, video, instruction), like, plus or [], minus or [])
    admitted = parse_filter(where) & of_modalities(only or "")
    opened = Library.open(library)
    opened.check_filled()

    from unite.embedder import Embedder

    encoder = Embedder.open(model or opened.facts.model)
    first = (page - 1) * k
    result = find(
        opened,
        encoder,
        terms,
        k=k,
        where=admitted,
        ranking="cosine" if raw else None,
        offset=first,
        folded=not all_segments,
        exact=exact,
    )
    if html:
        write_sheet(html, terms, result, first)
    if as_json:
        typer.echo(written(result, first))
    elif result.found:
        print_hits(result, first)
    if not result.found:
        nothing = "Nothing in the library passes the filter."
        if only:
            held = opened.store.stats().modalities.items()
            nothing += f" It holds {', '.join(f'{count:,} {label}' for label, count in held)}."
        typer.echo(f"There is no page {page}." if page > 1 else nothing, err=True)
    elif open_first:
        from unite.cli.opening import open_hit

        open_hit(result.hits[0])


def _query(
    text: str | None, image: Path | None, video: Path | None, instruction: str | None
) -> Item | None:
    """What was asked, as one item."""
    from unite.errors import MediaError
    from unite.types import Clip, Item

    for file in (image, video):
        if file is not None and not file.is_file():
            raise MediaError(f"{file} is not a file.", "Check the path.")
    if not text and image is None and video is None:
        return None
    return Item(
        text=text or None,
        images=() if image is None else (str(image),),
        videos=() if video is None else (Clip(str(video)),),
        instruction=instruction,
    )


def _terms(query: Item | None, like: str | None, plus: list[str], minus: list[str]) -> list[Term]:
    """The whole question as a sum."""
    from unite.errors import ItemError
    from unite.library.terms import Term, parse_term

    asked = [Term(of) for of in (query, like) if of is not None]
    terms = [*asked, *(parse_term(one) for one in plus), *(parse_term(one, -1.0) for one in minus)]
    if not any(term.weight > 0 for term in terms):
        raise ItemError(
            "There is nothing to search for.", "Give words, --image, --video, --like or --plus."
        )
    return terms
