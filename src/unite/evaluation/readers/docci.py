"""DOCCI: a JSON object a line, pictures in one folder."""

from __future__ import annotations

import json
from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, image
from unite.evaluation.readers.files import as_published
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions of the test split."""
    path = root / "docci_descriptions.jsonlines"
    with as_published(benchmark, path), path.open(encoding="utf-8-sig") as file:
        rows = [json.loads(line) for line in file if line.strip()]
        media = [
            Captioned(row["image_file"], root / "images" / row["image_file"], [row["description"]])
            for row in rows
            if row["split"] == benchmark.split
        ]
    return both_ways(benchmark, media, image, "i")
