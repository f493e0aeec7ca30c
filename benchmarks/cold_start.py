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
UNITE = [sys.executable, "-m", "unite.cli.main"]


def seconds(command: list[str]) -> float:
    """Median wall time of a fresh process."""
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        world, library = Path(folder) / "world", str(Path(folder) / "library")
        build_world(world, 40, 0)
        index = [*UNITE, "index", str(world / "demo" / "library"), "-l", library]
        subprocess.run(index, check=True, capture_output=True)
        rows = {
            "unite --help": [*UNITE, "--help"],
            "unite search, words, mini": [*UNITE, "search", "a red star", "-l", library],
            "unite index, nothing changed": index,
            "import torch alone": [sys.executable, "-c", "import torch"],
            "import lancedb alone": [sys.executable, "-c", "import lancedb"],
        }
        print("| command, in a fresh process | seconds, median of 7 |\n|---|---|")
        for name, command in rows.items():
            print(f"| `{name}` | {seconds(command):.2f} |")


if __name__ == "__main__":
    main()
