"""`unite embed`: any input in, a vector a row out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite.cli.printable import skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from unite.data.vectors import Kind, Outcome, Output, Row, Work
    from unite.embedder import Embedder

STANDARD = Path("-")
SHOWN = 10
"""Failures that are named at the end; all are in the output."""


def embed(
    items: Annotated[
        Path,
        typer.Argument(
            help="JSONL, a JSON array, Parquet, a folder, one picture or clip, or - for JSONL on"
            " stdin."
        ),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Directory, alias or hub id.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Parquet file, a folder of them, or - for JSONL."),
    ],
    dim: Annotated[
        int | None, typer.Option(min=1, help="Keep the first so many coordinates, at length one.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32, float16, int8 or binary.")] = "float32",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Embed the failed rows of a finished output.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard what is there and begin anew.")
    ] = False,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames taken from every clip.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Frames taken a second of a clip.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=2, help="At most so many frames of a clip.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fewer frames where an item would be too long.")
    ] = False,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Open pictures of up to so many pixels.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode; by default one a core. 0: threads."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds that decoding one picture or clip may take.")
    ] = 120.0,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="On a Ray cluster: its address, auto, or local for this one."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Embed every item of an input, row for row.

    A row that cannot be embedded keeps its place, with a null vector and the reason. Stopped at
    any moment, the same command goes on where it was. Exits with 0 if all rows were embedded
    and with 3 if some failed.
    """
    from unite.data.items import count_items
    from unite.data.vectors import Output
    from unite.embedder import Embedder
    from unite.errors import UniteError
    from unite.media.pool import cores
    from unite.media.source import Limits

    if frames is not None and (fps is not None or max_frames is not None):
        raise UniteError("--frames fixes the count.", "Leave out --fps and --max-frames.")
    if retry_failed and restart:
        raise UniteError("--restart leaves nothing to retry.", "Give one of the two.")
    if out == STANDARD and (retry_failed or restart):
        raise UniteError("Standard output keeps nothing.", "Name a file to go on with.")
    if ray is not None and (retry_failed or out == STANDARD):
        raise UniteError("--ray writes a whole file or folder.", "Leave it out here.")
    output = None if out == STANDARD else Output.at(out)
    count = count_items(items)
    encoder = Embedder.open(  # the one place where a flag becomes a property of the model
        model,
        dtype=dtype,
        nframes=frames,
        fps=fps,
        max_frames=max_frames,
        fit=fit,
        limits=Limits() if max_pixels is None else Limits(max_pixels=max_pixels),
        workers=cores() if workers is None else workers,
        seconds=seconds,
    )
    kind = _kind(encoder, dim, precision)
    with encoder:
        outcome = _run(
            items, count, output, encoder, kind, retry=retry_failed, restart=restart, ray=ray
        )
    _tell(outcome, output, as_json=json_)
    if outcome.failed:
        raise typer.Exit(3)


def _run(
    items: Path,
    count: int | None,
    output: Output | None,
    encoder: Embedder,
    kind: Kind,
    *,
    retry: bool,
    restart: bool,
    ray: str | None,
) -> Outcome:
    from unite.cli.progress import progress_bars
    from unite.data.items import read_items
    from unite.data.vectors import embed_file, embed_stream, embed_with, retry_failed
    from unite.media.suffixes import ending_of

    passed: Counter[str] = Counter()
    records = read_items(items, lambda path: passed.update([ending_of(path)]))
    with progress_bars() as show:

        def on_row(done: int, failed: int) -> None:
            show("trying again" if retry else "embedding", done, total, failed)

        total = count
        if output is None:
            outcome = embed_stream(records, encoder, kind, _print_row(kind), on_row)
        elif retry:
            there = output.finished()
            total = there.failed if there else None
            outcome = retry_failed(output, records, encoder, kind, on_row=on_row)
        elif ray is not None:
            work = _on_ray(encoder, kind, output, ray)
            outcome = embed_with(work, output, records, kind, restart=restart, on_row=on_row)
        else:
            outcome = embed_file(output, records, encoder, kind, restart=restart, on_row=on_row)
    if passed:
        typer.echo(skipped(dict(passed.most_common())), err=True)
    return outcome


def _on_ray(encoder: Embedder, kind: Kind, output: Output, address: str) -> Work:
    from functools import partial

    from unite.embedder.on_ray import embed_on_ray
    from unite.embedder.ray_actors import Job

    job = Job.of(encoder, None if kind.dim == encoder.dim else kind.dim)
    return partial(embed_on_ray, job=job, spool=output.spool, address=address)


def _kind(encoder: Embedder, dim: int | None, precision: str) -> Kind:
    """Length and precision of the vectors, which the model is to have."""
    from unite.data.vectors import Kind, Precision
    from unite.errors import UniteError, did_you_mean

    known = [str(one) for one in Precision]
    if precision not in known:
        raise UniteError(f"{precision!r} is no precision.", did_you_mean(precision, known))
    wanted = dim or encoder.dim
    if wanted > encoder.dim:
        raise UniteError(f"The model has {encoder.dim} coordinates.", "Give a smaller --dim.")
    Precision(precision).check(wanted)
    trained = encoder.model.policy.matryoshka
    if wanted not in (encoder.dim, *trained):
        lengths = f"for {', '.join(map(str, trained))}" if trained else "for no shorter length"
        typer.echo(
            f"The model was trained {lengths} but {encoder.dim}: "
            f"its first {wanted} coordinates may rank badly.",
            err=True,
        )
    return Kind(
        model=encoder.name,
        model_id=encoder.model_id,
        dim=wanted,
        precision=Precision(precision),
    )


def _print_row(kind: Kind) -> Callable[[Row], None]:
    """What prints a row as a line of JSON, its vector as it would be stored."""

    def write(row: Row) -> None:
        vector = row.embedding
        stored = None if vector is None else kind.precision.store(vector[None])[0].tolist()
        line = {"id": row.id, "modality": row.modality, "embedding": stored}
        typer.echo(json.dumps({**line, "error": row.error, "note": row.note}))

    return write


def _tell(outcome: Outcome, output: Output | None, *, as_json: bool) -> None:
    """The summary on stdout, or on stderr where stdout has the rows; failures on stderr."""
    out = "-" if output is None else str(output.path)
    kept = outcome.rows - outcome.embedded
    if as_json:
        told = {"rows": outcome.rows, "failed": outcome.failed, "embedded": outcome.embedded}
        typer.echo(json.dumps({**told, "out": out}), err=output is None)
    else:
        again = f" {kept:,} were there already." if kept and output else ""
        typer.echo(f"{out}: {outcome.rows} rows, {outcome.failed} failed.{again}", err=not output)
    if output is None or not outcome.failed:
        return
    for name, reason in output.first_failures(SHOWN):
        typer.echo(f"failed: {name}: {reason}", err=True)
    if not outcome.embedded:
        typer.echo("It was finished; --retry-failed embeds the failed rows again.", err=True)
