"""CaReBench: a JSON list of clips with their captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.captioned import Captioned, both_ways, video
from unite.evaluation.readers.files import as_published, load_json
from unite.evaluation.task import Task


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions of the general, the spatial or the temporal captions."""
    path = root / "json" / "metadata.json"
    with as_published(benchmark, path):
        media = [
            Captioned(
                row["video"],
                root / "videos" / row["video"],
                [row[_key(row, benchmark.options["caption"])]],
            )
            for row in load_json(path)
        ]
    return both_ways(benchmark, media, video, "v")


def _key(row: Mapping[str, object], word: str) -> str:
    """The key of that name, or the row's only text whose key holds the word."""
    if isinstance(row.get(word), str):
        return word
    keys = [key for key, value in row.items() if word in key.lower() and isinstance(value, str)]
    if len(keys) != 1:
        raise ValueError(f"of the keys {sorted(row)} not exactly one holds {word!r}")
    return keys[0]
