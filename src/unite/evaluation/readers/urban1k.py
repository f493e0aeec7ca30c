"""Urban1K: a folder of pictures and one of captions, a file each."""

from __future__ import annotations

from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, image
from unite.evaluation.readers.files import as_published
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions; a caption is the first line of its file."""
    media = []
    for path in sorted((root / "caption").glob("*.txt")):
        with as_published(benchmark, path):
            caption = path.read_text(encoding="utf-8-sig").split("\n")[0]
        media.append(Captioned(path.stem, root / "image" / f"{path.stem}.jpg", [caption]))
    return both_ways(benchmark, media, image, "i")
