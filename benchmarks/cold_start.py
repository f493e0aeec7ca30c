"""How long a cold command takes: `unite --help`, and a search of a small library with `mini`.

Usage: python benchmarks/cold_start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unite.world.build import build_world

REPEATS = 7


def seconds(*words: str) -> float:
    """Median wall time of a fresh process."""
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "unite.cli.main", *words], check=True, capture_output=True
        )
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        world, library = Path(folder) / "world", str(Path(folder) / "library")
        build_world(world, 40, 0)
        index = ["index", str(world / "demo" / "library"), "-l", library]
        subprocess.run(
            [sys.executable, "-m", "unite.cli.main", *index], check=True, capture_output=True
        )
        rows = {
            "unite --help": seconds("--help"),
            "unite search, words, mini": seconds("search", "a red star", "-l", library),
            "unite index, nothing changed": seconds(*index),
            "python -c 'import torch'": _plain("import torch"),
            "python -c 'import lancedb'": _plain("import lancedb"),
        }
    print("| command, cold | seconds |\n|---|---|")
    for name, value in rows.items():
        print(f"| `{name}` | {value:.2f} |")


def _plain(code: str) -> float:
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
