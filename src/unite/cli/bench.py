"""`unite bench`: how fast things are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unite.embedder.bench import Measured

app = typer.Typer(help="Measure speed on your own files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Measure speed on your own files."""


@app.command("embed")
def bench_embed(
    items: Annotated[Path, typer.Argument(help="JSONL, a JSON array, Parquet or a folder.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows that are taken.")] = 300,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames taken from every clip.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode; by default one a core.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Embed items of each modality, then all together, and print how fast that was.

    Nothing is written. Padding: share of the tokens that attention computes which are real.
    Hidden: share of the decoding that took no time of its own, as the model ran meanwhile.
    """
    import json
    from itertools import islice

    from unite.cli.progress import progress_bars
    from unite.data.items import read_items
    from unite.embedder import Embedder
    from unite.embedder.bench import bench
    from unite.errors import DataError
    from unite.media.pool import cores
    from unite.types import Item

    read = list(islice(read_items(items), limit))
    good = [record for record in read if isinstance(record, Item)]
    if not good:
        raise DataError(f"{items} holds no item.", "`unite data check` says what is wrong.")
    workers = cores() if workers is None else workers
    encoder = Embedder.open(model, dtype=dtype, nframes=frames, workers=workers)
    found = []
    with encoder, progress_bars() as show:
        for number, measured in enumerate(bench(encoder, good), 1):
            found.append(measured)
            show("kinds measured", number, None)
    if as_json:
        typer.echo(json.dumps({"model": model, "kinds": [_row(part) for part in found]}))
    else:
        _print(found, model, encoder.dtype, workers)
    if len(good) < len(read):
        typer.echo(f"{len(read) - len(good)} rows are no items and were left out.", err=True)


def _row(part: Measured) -> dict[str, Any]:
    from dataclasses import asdict

    figures = asdict(part.figures)
    return {
        "kind": part.kind,
        "seconds": part.seconds,
        "items_per_second": part.rate,
        "tokens_per_second": part.token_rate,
        "padding_efficiency": part.figures.efficiency,
        "decoding_hidden": part.hidden,
        "peak_bytes": part.peak,
        **figures,
    }


def _print(found: list[Measured], model: str, dtype: str, workers: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from unite.embedder.bench import device_name

    table = Table(title=f"{model}, {dtype}, {device_name()}, {workers} decoding workers")
    table.add_column("items")
    for name in ("count", "failed", "items/s", "tokens/s", "padding", "hidden", "peak MB"):
        table.add_column(name, justify="right")
    for part in found:
        figures = part.figures
        hidden = f"{part.hidden:.0%}" if figures.media else "–"
        peak = "–" if part.peak is None else f"{part.peak / 1e6:,.0f}"
        table.add_row(
            part.kind,
            str(figures.items),
            str(figures.failed),
            f"{part.rate:,.1f}",
            f"{part.token_rate:,.0f}",
            f"{figures.efficiency:.1%}",
            hidden,
            peak,
        )
    Console().print(table)
