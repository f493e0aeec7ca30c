"""`unite train`: one stage of training from a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.data.mixture import Plan
    from unite.training.recipe import Recipe


def train(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped recipe.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run directory.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and plan the run, and tell what it would cost.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the dry run as JSON.")] = False,
) -> None:
    """Train one stage; the finished model is OUT/model."""
    from unite.training.launch import end_with_launcher, launch, launched
    from unite.training.recipe import sources_of
    from unite.training.recipe_files import load_recipe

    if json_ and not dry_run:
        raise typer.BadParameter("It is for --dry-run.", param_hint="--json")
    end_with_launcher()
    loaded = load_recipe(recipe, change or ())
    if dry_run:
        from unite.cli.dry_run import show

        show(loaded, out, resume=resume, as_json=json_)
        return
    sources_of(loaded)
    if "RANK" in os.environ or loaded.run.processes == 1:
        finished = run_stage(loaded, out, resume=resume)
        if os.environ.get("RANK", "0") == "0" and not launched():
            typer.echo(f"{finished}")
        return
    words = [recipe, "-o", str(out), *(f"--set={part}" for part in change or ())]
    words = [*words, "--resume"] if resume else words
    launch(words, loaded.run.processes, loaded.run.threads)
    typer.echo(f"{out / 'model'}")


def run_stage(recipe: Recipe, out: Path, *, resume: bool) -> Path:
    """Train in this process, with a bar for each kind of work on stderr."""
    import warnings

    from unite.cli.progress import progress_bars

    # Spoken by accelerate to its own callers: nothing that a user of ours could do about it.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
    from unite.training.stages import train as train_stage

    with progress_bars(quiet=os.environ.get("RANK", "0") != "0") as show:
        return train_stage(
            recipe,
            out,
            resume=resume,
            progress=lambda what, done, total: show(f"{recipe.stage}: {what}", done, total),
            announce=_announce,
        )


def _announce(plan: Plan) -> None:
    """What the run will see, exactly; on stderr, as the bars are."""
    batches, size = plan.rows.shape
    typer.echo(f"{batches:,} batches of {size:,} pairs", err=True)
    for counts in (plan.sources, plan.modality_pairs):
        line = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        typer.echo(f"  {line}", err=True)
