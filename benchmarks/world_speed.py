"""How fast the small world is drawn and encoded.

Usage: python benchmarks/world_speed.py
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from unite.world.build import build_world, draw, plan_world

SIZE, SAMPLE = 1000, 200


def main() -> None:
    """Print a table."""
    plan = plan_world(SIZE, 0)
    print("| what | files a second |\n|---|---|")
    for kind in (".png", ".mp4"):
        some = [medium for medium in plan.media if medium.path.endswith(kind)][:SAMPLE]
        begin = time.perf_counter()
        for medium in some:
            draw(medium, 0)
        rate = SAMPLE / (time.perf_counter() - begin)
        print(f"| {kind}, one process | {rate:.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        facts = build_world(Path(folder) / "world", SIZE, 0)
        rate = (facts.images + facts.videos) / (time.perf_counter() - begin)
    whole = f"{facts.images} PNG and {facts.videos} MP4"
    print(f"| a whole world, {whole}, {os.cpu_count()} processes | {rate:.0f} |")


if __name__ == "__main__":
    main()
