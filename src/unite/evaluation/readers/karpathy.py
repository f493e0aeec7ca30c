"""Karpathy's JSON of image captions: Flickr30K and MSCOCO."""

from __future__ import annotations

from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, image
from unite.evaluation.readers.files import as_published, load_json
from unite.evaluation.task import Task

CAPTIONS = 5
"""Captions of an image that count; a few MSCOCO images have more."""


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions of the test split."""
    path = root / benchmark.options["json"]
    with as_published(benchmark, path):
        images = root / benchmark.options["images"]
        media = [
            Captioned(
                id=row["filename"],
                path=images / row.get("filepath", "") / row["filename"],
                captions=[sentence["raw"].strip() for sentence in row["sentences"][:CAPTIONS]],
            )
            for row in load_json(path)["images"]
            if row["split"] == benchmark.split
        ]
    return both_ways(benchmark, media, image, "i")
