"""A folder of parts: Parquet files named by the number of their first row.

What is finished is always a beginning of the whole: parts appear in order and go in reverse.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from unite.data.vectors.table import Facts, read_facts
from unite.errors import DataError

_NAME = re.compile(r"part-\d{12}\.parquet")


def part_path(folder: Path, first: int) -> Path:
    """Where the part that begins with a row lies."""
    return folder / f"part-{first:012}.parquet"


def part_paths(folder: Path) -> list[Path]:
    """The parts that are there, in order."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def read_parts(folder: Path) -> list[Facts]:
    """The facts of the parts that are there, in order.

    Raises:
        DataError: One is damaged, or missing between others.
    """
    found: list[Facts] = []
    for path in part_paths(folder):
        facts = read_facts(path)
        after = found[-1].end if found else 0
        if path != part_path(folder, after) or facts.first != after:
            raise DataError(
                f"{folder} has no part that begins with row {after}, but later ones.",
                "Put it back, or begin anew with --restart.",
            )
        found.append(facts)
    return found


def remove_partials(folder: Path) -> None:
    """Remove what a killed writer left half written."""
    for path in folder.glob(".part-*.partial"):
        path.unlink()


def drop_parts(folder: Path) -> None:
    """Remove the parts.

    They go from the last to the first: whenever this is stopped, the rest is a beginning.
    """
    for path in reversed(part_paths(folder)):
        path.unlink()


def drop_journal(folder: Path) -> None:
    """Remove a journal in one step: a kill leaves it whole, or renamed and of no more use."""
    if folder.exists():
        folder.rename(_trash(folder))
        sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what is left of a journal that was dropped."""
    if _trash(folder).exists():
        shutil.rmtree(_trash(folder))


def _trash(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.trash")
