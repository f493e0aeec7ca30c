"""`unite data mine`: hard negatives for pairs, found with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unite.data.records import BadRow
    from unite.data.rewrite import PairRow
    from unite.training.mining import Mined, Rule, Summary
    from unite.types import Embedding, Item

MARGIN = 0.05
FAILURES_SHOWN = 10
KEPT = "kept"
"""An empty file in a cache that was asked for: no later run removes it."""


def mine(
    pairs: Annotated[list[Path], typer.Argument(help="Pair files: JSON arrays or JSONL.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL file of pairs to write.")],
    corpus: Annotated[
        Path | None, typer.Option(help="An item file: more candidates to find negatives among.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Negatives to find for each pair.")] = 7,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            show_default=str(MARGIN),
            help="How far below the positive they score at least.",
        ),
    ] = None,
    relative_margin: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Instead: the share of its score that they score at most."
        ),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Pass over so many of the highest ranks.")] = 0,
    any_modality: Annotated[
        bool, typer.Option("--any-modality", help="Negatives of other modalities than the target.")
    ] = False,
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Keep the embeddings, in OUT.cache.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Find hard negatives: what a model ranks high for a query although it does not answer it.

    Every row keeps its place and the negatives that it has; those found come after them.
    Interrupted and run again, it goes on where it stopped. Exits with 3 if some rows or items
    were broken.
    """
    import json
    import shutil
    from dataclasses import asdict

    from rich.console import Console

    from unite.data.items import read_items
    from unite.data.rewrite import read_pair_rows
    from unite.training.mining import Rule, summarise

    _check(out, [*pairs, *([corpus] if corpus else [])], margin, relative_margin)
    rule = Rule(
        k=k,
        margin=MARGIN if margin is None else margin,
        relative=relative_margin,
        skip=skip,
        any_modality=any_modality,
    )
    rows = [row for path in pairs for row in read_pair_rows(path)]
    records = list(read_items(corpus)) if corpus else []
    cache = out.with_name(f"{out.name}.cache")
    mined, faults = _mine(model, rows, records, rule, cache)
    _write(out, rows, mined)
    if keep_cache:
        cache.mkdir(exist_ok=True)
        (cache / KEPT).touch()
    elif not (cache / KEPT).exists():
        shutil.rmtree(cache, ignore_errors=True)
    summary = summarise(mined, k, broken=len(rows) - len(mined), items_failed=len(faults))
    if json_:
        typer.echo(json.dumps({"out": str(out), **asdict(summary)}))
    else:
        typer.echo(out)
        Console().print(table(summary, k))
    if failed := [*_failures(rows, mined), *faults]:
        _report(failed)
        raise typer.Exit(3)


def table(summary: Summary, k: int) -> Table:
    """The summary for people."""
    from rich import box
    from rich.table import Table

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.0%}"

    def number(value: float | None, places: int) -> str:
        return "-" if value is None else f"{value:.{places}f}"

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=False)
    grid.add_column("what", no_wrap=True)
    grid.add_column("figure", justify="right", no_wrap=True)
    for name, figure in (
        ("rows", str(summary.rows)),
        ("rows that failed", str(summary.failed)),
        ("queries", str(summary.queries)),
        ("negatives found", str(summary.negatives)),
        ("negatives a pair, mean", number(summary.mean, 2)),
        (f"pairs with {k}", share(summary.share_full)),
        ("pairs with none", share(summary.share_none)),
        ("gap to the positive, median", number(summary.median_gap, 3)),
        ("refused: likely false negatives", str(summary.refused)),
        ("pairs with such", share(summary.share_refused)),
    ):
        grid.add_row(name, figure)
    return grid


def _check(
    out: Path, inputs: Sequence[Path], margin: float | None, relative_margin: float | None
) -> None:
    from unite.errors import UniteError

    if out.suffix != ".jsonl":
        raise UniteError(f"{out} would hold JSONL.", "Name it so: end it in .jsonl.")
    if out.resolve() in [path.resolve() for path in inputs]:
        raise UniteError(f"{out} is one of the files that are read.", "Choose another name.")
    if margin is not None and relative_margin is not None:
        raise UniteError(
            "--margin and --relative-margin are two forms of one limit.", "Give one of them."
        )


def _mine(
    model: str,
    rows: Sequence[PairRow],
    records: Sequence[Item | BadRow],
    rule: Rule,
    cache: Path,
) -> tuple[list[Mined], list[str]]:
    """What became of the pairs among the rows, and what is wrong with items of the corpus."""
    from unite.cli.progress import progress_bars
    from unite.data.rewrite import settled_item
    from unite.embedder import Embedder
    from unite.media.pool import cores
    from unite.training.embedded import embed_once
    from unite.training.mining import mine
    from unite.types import Item

    pairs = [row.pair for row in rows if row.pair is not None]
    extra = [settled_item(record) for record in records if isinstance(record, Item)]
    sides = [side for pair in pairs for side in (pair.query, pair.candidate)]
    with Embedder.open(model, workers=cores()) as encoder, progress_bars() as show:
        embeddings = embed_once(
            encoder,
            [*sides, *extra],
            cache,
            lambda done, total: show("mining: embedding", done, total),
        )
        mined = mine(
            pairs, extra, embeddings, rule, lambda done, total: show("mining: ranking", done, total)
        )
    bad = [f"corpus, {part.id}: {part.error}" for part in records if not isinstance(part, Item)]
    return mined, [*bad, *_unembedded(extra, embeddings)]


def _unembedded(extra: Sequence[Item], embeddings: dict[str, Embedding]) -> Iterator[str]:
    from unite.data.records import content_id

    for item in extra:
        error = embeddings[content_id(item)].error
        if error is not None:
            yield f"corpus, {item.id}: {error}"


def _write(out: Path, rows: Sequence[PairRow], mined: Sequence[Mined]) -> None:
    """Write every row: the pairs with what was found, the others as they were."""
    import json

    from unite.data.records import pair_row
    from unite.data.rewrite import moved, write_lines

    folder = out.parent.resolve()  # the file replaces a link that has its name
    parts = iter(mined)
    write_lines(
        out,
        (
            row.text if row.pair is None else json.dumps(pair_row(moved(next(parts).pair, folder)))
            for row in rows
        ),
    )


def _failures(rows: Sequence[PairRow], mined: Sequence[Mined]) -> Iterator[str]:
    parts = iter(mined)
    for row in rows:
        error = row.error if row.pair is None else next(parts).error
        if error is not None:
            yield f"{row.file}, row {row.number}: {error}"


def _report(failed: Sequence[str]) -> None:
    for line in failed[:FAILURES_SHOWN]:
        typer.echo(f"failed: {line}", err=True)
    if len(failed) > FAILURES_SHOWN:
        typer.echo(f"failed: {len(failed) - FAILURES_SHOWN} more", err=True)
