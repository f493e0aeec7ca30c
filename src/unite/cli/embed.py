"""`unite embed`: an item file in, a vector a row out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.cli.vectors import Row
    from unite.media.source import Limits


def embed(
    items: Annotated[Path, typer.Argument(help="JSONL (or a JSON array) of items.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    frames: Annotated[int | None, typer.Option(min=2, help="Frames of every clip.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.001, help="Frames a second.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=2, help="At most so many.")] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fewer frames where an item would be too long.")
    ] = False,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Open pictures of up to so many pixels.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Embed every item of a file, row for row.

    A row that cannot be embedded keeps its place, with a null vector and the reason. Exits
    with 0 if all rows were embedded and with 3 if some failed.
    """
    import json

    from unite.cli.progress import progress_bars
    from unite.cli.vectors import embed_rows, write_parquet
    from unite.data.records import read_items
    from unite.embedder import Embedder
    from unite.errors import UniteError

    if frames is not None and (fps is not None or max_frames is not None):
        raise UniteError("--frames fixes the count.", "Leave out --fps and --max-frames.")
    if out.suffix != ".parquet":
        raise UniteError(f"{out} would hold Parquet.", "Name it so: end it in .parquet.")
    count = sum(1 for _ in read_items(items))
    encoder = Embedder.open(
        model,
        dtype=dtype,
        nframes=frames,
        fps=fps,
        max_frames=max_frames,
        fit=fit,
        limits=_limits(max_pixels),
    )
    rows: list[Row] = []
    with progress_bars() as show:
        for row in embed_rows(encoder, read_items(items)):
            rows.append(row)
            show("embedding", len(rows), count)
    write_parquet(out, rows, encoder.dim, {"model": model, "model_id": encoder.model_id})
    failed = [row for row in rows if row.error is not None]
    if json_:
        typer.echo(json.dumps({"rows": len(rows), "failed": len(failed), "out": str(out)}))
    else:
        typer.echo(f"{out}: {len(rows)} rows, {len(failed)} failed.")
    for row in failed[:10]:
        typer.echo(f"failed: {row.id}: {row.error}", err=True)
    if failed:
        raise typer.Exit(3)


def _limits(max_pixels: int | None) -> Limits:
    """The wanted limit; Pillow's own, which holds for the whole process, is raised to it."""
    from PIL import Image

    from unite.media.source import Limits

    if max_pixels is None:
        return Limits()
    Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS or 0)
    return Limits(max_pixels=max_pixels)
