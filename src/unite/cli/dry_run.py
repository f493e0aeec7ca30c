"""The tables of `unite train --dry-run`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unite.training.dry_run import DryRun
    from unite.training.recipe import Recipe

_PLACES = {
    "scratch": "made anew",
    "here": "is here",
    "hub": "is not here: training would download it from the hub",
}
_NAMED = 5
"""Unreadable media that are named."""


def show(recipe: Recipe, out: Path, *, resume: bool, as_json: bool) -> None:
    """Check and plan a run and print what was found; under a launcher the first process does.

    Raises:
        typer.Exit: With 1, if something would stop the run.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    from unite.cli.progress import progress_bars
    from unite.training.dry_run import dry_run
    from unite.training.preflight import find_problems

    problems = find_problems(recipe, out, resume=resume)
    if problems:
        if as_json:
            typer.echo(json.dumps({"problems": problems}, indent=2, ensure_ascii=False))
        for problem in problems:
            typer.echo(f"unite: {problem}", err=True)
        raise typer.Exit(1)
    processes = int(os.environ.get("WORLD_SIZE", recipe.run.processes))
    with progress_bars() as bar:
        found = dry_run(recipe, out, processes=processes, progress=bar)
    if as_json:
        row = {"problems": [], **found.to_json()}
        typer.echo(json.dumps(row, indent=2, ensure_ascii=False))
    else:
        _print(found, recipe, out)


def _print(found: DryRun, recipe: Recipe, out: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for line in _opening(found, recipe):
        console.print(line, markup=False)
    for table in _tables(found, recipe):
        console.print()
        console.print(table)
    console.print()
    for line in _closing(found, recipe, out):
        console.print(line, markup=False)


def _opening(found: DryRun, recipe: Recipe) -> Iterable[str]:
    rows = found.steps * recipe.optimiser.accumulation * found.batch_size
    yield f"Start: {found.start.name} ({_PLACES[found.start.place]})."
    yield (
        f"{found.steps:,} steps of {found.batch_size:,} pairs, {rows:,} examples, "
        f"{found.epochs:.3g} epochs; processes: {found.processes}."
    )
    if found.rows_left_out:
        yield f"{found.rows_left_out:,} rows are no pairs and are left out."


def _tables(found: DryRun, recipe: Recipe) -> Iterable[Table]:
    examples = sum(kind.examples for kind in found.kinds.values())
    yield _table(
        "Data",
        ("source", "rows", "examples", "times seen"),
        (
            (name, f"{use.rows:,}", f"{use.examples:,}", f"{use.times:.2f}")
            for name, use in found.sources.items()
        ),
    )
    yield _table(
        "Pairs of modalities (tokens are estimates, of a pair)",
        ("query→target", "examples", "share", "tokens", "visual"),
        (
            (
                label,
                f"{kind.examples:,}",
                f"{kind.examples / examples:.1%}",
                f"{kind.tokens:,.0f}",
                f"{kind.visual / kind.tokens:.0%}",
            )
            for label, kind in found.kinds.items()
        ),
    )
    yield _table(
        "Batches",
        ("rows of target", "mean", "fewest", "most"),
        (
            (label, f"{rows.mean:,.1f}", f"{rows.least:,}", f"{rows.most:,}")
            for label, rows in found.composition.targets.items()
        ),
    )
    yield _table("Learning from a batch", ("", ""), _learning(found, recipe), has_head=False)
    yield _table("Cost of a step, estimated", ("", ""), _cost(found, recipe), has_head=False)
    if found.memory is not None:
        yield _table("Memory of a process, estimated", ("", ""), _memory(found), has_head=False)


def _learning(found: DryRun, recipe: Recipe) -> Iterable[Sequence[str]]:
    batch = found.composition
    mask = "own modality" if recipe.loss.masked else "all"
    yield f"candidates a row meets ({mask}; its own counts)", f"{batch.negatives:,.1f}"
    yield "rows of a batch without any rival", f"{batch.singletons:,.2f}"


def _cost(found: DryRun, recipe: Recipe) -> Iterable[Sequence[str]]:
    times, load, part = recipe.optimiser.accumulation, found.load, found.chunking
    yield "tokens", _short(times * load.tokens)
    yield "of them visual", f"{load.visual / load.tokens:.0%}"
    yield "tokens of the fullest process", _short(times * part.tokens)
    yield "its chunks", f"{times * part.chunks:,}"
    yield "tokens of its largest chunk", f"{part.largest:,}"
    if found.flops is not None:
        yield "FLOPs, language model", _short(times * found.flops.language)
        yield "FLOPs, vision tower", _short(times * found.flops.vision)
        whole = found.flops.language + found.flops.vision
        yield "FLOPs of the run", _short(found.steps * times * whole)


def _memory(found: DryRun) -> Iterable[Sequence[str]]:
    memory = found.memory
    assert memory is not None
    yield "weights", _size(memory.weights)
    yield "gradients, optimiser, adapters", _size(memory.training)
    yield "activations of the largest chunk", _size(memory.activations)
    yield "kept between the passes", _size(memory.kept)
    yield "loss", _size(memory.loss)
    yield "sum", _size(memory.total)


def _closing(found: DryRun, recipe: Recipe, out: Path) -> Iterable[str]:
    yield f"Lengths are guessed on {found.sampled:,} planned rows, FLOPs and memory reckoned from"
    yield "shapes; nothing was run. See docs/distributed.md for what they leave out."
    if found.flops is None:
        yield "The shapes of this start model are not known here: no FLOPs, no memory."
    if found.too_long:
        limit = recipe.data.max_tokens or found.start.policy.max_tokens
        yield f"{found.too_long:,} items of the sample are bad: more than {limit:,} tokens."
    if found.unreadable:
        yield f"{len(found.unreadable):,} media of the sample cannot be opened:"
        for reason in list(found.unreadable.values())[:_NAMED]:
            yield f"  {reason}"
        yield "`unite data check` finds all that is broken."
    yield f"The pairs were read into {out / 'pairs'}, where the run will find them."


def _table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, has_head: bool = True
) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=has_head,
        show_edge=False,
    )
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _short(number: float) -> str:
    """With a unit of a thousand: 1.24 M."""
    for unit in ("", " k", " M", " G", " T", " P", " E"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} Z"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**27 else f"{count / 2**20:.2f} MiB"
