"""The progress bars of long work: on stderr, and only where somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID


class Show(Protocol):
    """Moves a bar, which is made when its work is first named."""

    def __call__(self, what: str, done: int, total: int | None, failed: int = 0) -> None:
        """Show how far some work is.

        Args:
            what: The work's name.
            done: The number of things done; those done at the first call do not count in the rate.
            total: The whole number; None while unknown.
            failed: How many of those done have failed.
        """
        ...


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Show]:
    """Show how far some work is, a bar for each kind of it.

    Args:
        quiet: Show nothing.

    Yields:
        What moves the bars.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}{task.fields[failed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None, failed: int = 0) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, completed=done, rate="", failed="")
            speed = bars.tasks[tasks[what]].speed
            rate = f"{speed:,.1f}/s" if speed else ""
            said = f" {failed:,} failed" if failed else ""
            bars.update(tasks[what], completed=done, total=total, rate=rate, failed=said)

        yield show
