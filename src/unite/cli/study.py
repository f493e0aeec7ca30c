"""`unite study`: a grid of runs that answers one question about training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unite.studies.arm import Setting
    from unite.studies.outcome import Outcomes
    from unite.studies.registry import Budget
    from unite.studies.study import Study

_WORLD_SEED = 7


def study(
    name: Annotated[
        str,
        typer.Argument(
            help="composition, masking, proportions, frames, temperature, pooling or positions."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The study's folder.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of pairs and tasks; none: a small world is made."),
    ] = None,
    stage1: Annotated[str, typer.Option(help="Recipe of stage 1.")] = "small-stage1",
    stage2: Annotated[str, typer.Option(help="Recipe of stage 2.")] = "small-stage2",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, for all recipes.")
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(help="What models are scored on: see `eval list`. Default: world."),
    ] = None,
    eval_data: Annotated[
        Path | None, typer.Option(help="Folder of the suites.", show_default="that of the data")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds of each arm; 3 or more give verdicts.")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="smoke, full, or a share of the recipes' steps.")
    ] = "full",
    floor: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="R@1 without which nothing is said.", show_default="the study's"
        ),
    ] = None,
    share: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the small world and the runs, where several studies share them.",
            show_default="the study's",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs side by side, each then in a single process.")
    ] = 1,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Begin no more runs after so long, and report.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would run, and how long it would take.")
    ] = False,
) -> None:
    """Run a study, or what is left of it, and write its report.

    Interrupted and run again, it goes on where it stopped; runs that failed are tried again.
    """
    from unite.cli.progress import progress_bars
    from unite.studies.arm import Setting
    from unite.studies.pictures import assert_drawable
    from unite.studies.registry import find_budget, find_study
    from unite.studies.study import conduct
    from unite.whole import assert_writable

    found, size = find_study(name), find_budget(budget)
    if floor is not None:
        found = replace(found, floor=replace(found.floor, least=floor, usual=found.floor.least))
    kept = (share or out).resolve()
    setting = Setting(
        data="",
        stage1=stage1,
        stage2=stage2,
        changes=tuple(change or ()),
        seeds=tuple(range(seeds or size.seeds)),
        scale=size.scale,
        suites=tuple(suite or ["world"]),
        eval_data=None if eval_data is None else str(eval_data.resolve()),
    )
    setting = replace(setting, data=str((data or _world(kept, size, budget)).resolve()))
    if dry_run:
        _tell(found, setting, kept, jobs)
        return
    assert_drawable()
    assert_writable(out)  # where no report can be written nothing is run
    with progress_bars() as show:
        outcomes = conduct(
            found,
            setting,
            kept,
            jobs=jobs,
            hours=math.inf if hours is None else hours,
            progress=show,
            announce=lambda line: typer.echo(line, err=True),
        )
    _report(found, setting, outcomes, out.resolve(), kept)


def _report(found: Study, setting: Setting, outcomes: Outcomes, out: Path, kept: Path) -> None:
    from unite.studies.report import sentence, write_report

    for verdict in write_report(found, setting, outcomes, out, kept=kept):
        typer.echo(f"{verdict.claim.text}\n  {sentence(verdict)}")
    typer.echo(f"{out / 'report.html'}")
    if outcomes.unfinished:
        left = f"at least {outcomes.unfinished} runs are left"
        typer.echo(f"{left}: the same command goes on with them", err=True)
    for (arm, seed), reason in outcomes.failures.items():
        typer.echo(f"failed: {arm}, seed {seed}: {reason}", err=True)
    if outcomes.failures:
        raise typer.Exit(3)


def _world(kept: Path, size: Budget, budget: str) -> Path:
    """The small world of the runs that are kept in a folder.

    Raises:
        StudyError: The folder has one of another size.
    """
    from unite.cli.progress import progress_bars
    from unite.errors import StudyError
    from unite.world.build import FACTS, build_world, read_facts

    world = kept / "world"
    if (world / FACTS).exists() and read_facts(world).size != size.world:
        raise StudyError(
            f"{kept} holds runs on a world of {read_facts(world).size} scenes; --budget {budget} "
            f"takes one of {size.world}.",
            "Give each budget a folder of its own: -o DIR, or --share DIR.",
        )
    with progress_bars() as show:
        build_world(
            world,
            size.world,
            _WORLD_SEED,
            progress=lambda done, total: show("small world: drawing", done, total),
        )
    return world


def _tell(found: Study, setting: Setting, kept: Path, jobs: int) -> None:
    """The runs that are wanted and the time that is left."""
    from unite.studies.estimate import estimate
    from unite.studies.study import planned, side_by_side, undecidable

    runs = planned(found, side_by_side(setting, jobs), kept)
    for line in undecidable(found, setting):
        typer.echo(line, err=True)
    for run in runs:
        state = "done" if run.last.done else run.reason or "to do"
        typer.echo(f"{run.last.folder.name}  {run.arm.name}, seed {run.seed}: {state}")
    cost = estimate(runs, kept)
    typer.echo(f"{len(runs)} runs, {cost.nodes} stages to train; {cost.done} are done")
    for stage, speed in cost.pairs_per_second.items():
        typer.echo(f"  {stage}: {speed:.0f} pairs a second, measured")
    if cost.seconds is None:
        typer.echo("  these recipes count in epochs: `unite train RECIPE --dry-run` tells a run")
    else:
        hours = cost.seconds / 3600 / jobs
        typer.echo(f"  about {hours:.1f} hours for what is left with {jobs} side by side")
