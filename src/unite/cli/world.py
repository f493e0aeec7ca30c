"""`unite world`: make the small world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def world(
    directory: Annotated[Path, typer.Argument(help="Where to; resumed if it was cut off.")],
    size: Annotated[
        int, typer.Option(min=1, help="Training pictures, and as many training clips.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Make the small world: pictures, clips, captions, edits and questions, all offline."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from unite.world.build import build_world

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("drawing", total=None)
        facts = build_world(
            directory,
            size,
            seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json_:
        typer.echo(json.dumps(asdict(facts)))
        return
    typer.echo(f"{directory}: {facts.images} pictures, {facts.videos} clips, seed {facts.seed}.")
    typer.echo(f"train: {sum(facts.train.values())} pairs from {len(facts.train)} sources.")
    for split, tasks in facts.eval.items():
        typer.echo(f"eval/{split}: {len(tasks)} tasks, {sum(tasks.values())} queries.")
