"""ShareGPT4V's captions: the first thousand rows, as Long-CLIP validates on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from unite.data.json_array import elements
from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, image
from unite.evaluation.readers.files import as_published
from unite.evaluation.task import Task

ROWS = 1000


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions; of the file, 1.5 GB, only its beginning is read."""
    path = root / benchmark.options["json"]
    with as_published(benchmark, path), path.open(encoding="utf-8-sig") as file:
        media = [_captioned(row, root) for row in islice(elements(path, file), ROWS)]
    return both_ways(benchmark, media, image, "i")


def _captioned(row: Any, root: Path) -> Captioned:
    caption = row["conversations"][1]["value"].replace("\n", " ")
    return Captioned(id=row["image"], path=root / row["image"], captions=[caption])
