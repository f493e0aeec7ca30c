"""The tables that `unite eval` and `unite demo` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from unite.evaluation.comparison import Comparison
    from unite.evaluation.facts import Benchmark, Need
    from unite.evaluation.results import Score


def scores(title: str, columns: Mapping[str, Sequence[Score]]) -> Table:
    """R@1/5/10 of each task and its gallery's size, a column for each model or moment.

    Args:
        title: Of the table.
        columns: Scores by the column's name; all of the same tasks in the same order.
    """
    from rich.text import Text

    # Three columns of a terminal of 80 characters, to the last one.
    grid = _grid(title)
    grid.add_column("task", no_wrap=True)
    grid.add_column("of", justify="right", no_wrap=True)
    for name in columns:
        grid.add_column(Text(f"{name}\nR@1  R@5 R@10"), justify="right", no_wrap=True)
    for rows in zip(*columns.values(), strict=True):
        cells = [" ".join(f"{value:.2f}" for value in score.recall.values()) for score in rows]
        grid.add_row(Text(rows[0].task), str(rows[0].candidates), *cells)
    return grid


def benchmarks(known: Sequence[Benchmark], data: Path) -> Table:
    """Every benchmark and whether all that it needs is there."""
    grid = _grid(f"in {data}")
    for name in ("task", "suite", "frames", "main", "there"):
        grid.add_column(name, no_wrap=True)
    for one in known:
        grid.add_row(
            one.name,
            f"{one.suite}:{one.group}" if one.group else one.suite,
            str(one.nframes or ""),
            one.main_score,
            "no" if one.missing(data) else "yes",
        )
    return grid


def facts(one: Benchmark, data: Path) -> str:
    """A benchmark's facts as lines of text: what is needed, how it is scored, what is unsure."""
    needs = [
        f"  {_state(need, one.root(data))}: {one.root(data) / need.path}\n"
        f"    {need.what} from {need.source}"
        for need in one.needs
    ]
    unsure = [f"  unverified: {text}" for text in one.unverified]
    lines = [f"{one.name}: {one.title}", *needs, f"  scored: {one.protocol}", *unsure]
    return "\n".join(lines)


def _state(need: Need, root: Path) -> str:
    if need.there(root):
        return "there"
    return "not there, nor needed" if need.optional else "missing"


def comparison(found: Comparison, names: tuple[str, str]) -> Table:
    """What two runs reached and what separates them."""
    from rich.text import Text

    grid = _grid(
        "second less first, percent; [interval at 95 %]; p of a paired permutation test, alone\n"
        "and corrected for the number of tasks (Holm)"
    )
    grid.add_column("task", overflow="fold", min_width=12)  # it gives way, so that no number is cut
    for name in ("queries", "metric", *names, "change", "p", "Holm"):
        grid.add_column(Text(name), justify="right", no_wrap=True)
    for task in found.tasks:
        change = task.difference
        grid.add_row(
            Text(f"{task.task} ({task.split})"),
            str(change.queries),
            task.metric,
            f"{100 * task.first:.1f}",
            f"{100 * task.second:.1f}",
            Text(f"{100 * change.mean:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"),
            f"{change.p:.4f}",
            f"{task.corrected_p:.4f}",
        )
    return grid


def _grid(title: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title, style="table.title"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
