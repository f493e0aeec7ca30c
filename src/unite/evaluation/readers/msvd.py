"""MSVD: a list of test clips, and a text file with a caption a line."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from unite.errors import DataError
from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, video
from unite.evaluation.readers.files import as_published, clips_by_name
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions, every caption of every test clip."""
    listed = _lines(benchmark, root / "test_list.txt")
    captions: dict[str, list[str]] = defaultdict(list)
    for line in _lines(benchmark, root / "AllVideoDescriptions.txt"):
        name, _, caption = line.partition(" ")
        captions[name].append(caption.strip())
    bare = [name for name in listed if name not in captions]
    if bare:
        raise DataError(
            f"AllVideoDescriptions.txt has no caption of {bare[0]}.",
            f"Get it and test_list.txt again: unite eval list {benchmark.name}",
        )
    clips = clips_by_name(root, (".avi",))
    media = [
        Captioned(name, clips.get(name, root / f"{name}.avi"), captions[name]) for name in listed
    ]
    return both_ways(benchmark, media, video, "v", nearest_caption=True)


def _lines(benchmark: Benchmark, path: Path) -> list[str]:
    """Lines that are neither empty nor comments."""
    with as_published(benchmark, path):
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    return [line for line in lines if line and not line.startswith("#")]
