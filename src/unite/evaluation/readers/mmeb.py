"""MMEB-eval: a Parquet file a subset, each row a query with its own candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unite.data.sources.tables import read_table
from unite.errors import DataError
from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.files import as_published, grouped
from unite.evaluation.task import Task
from unite.prompts import IMAGE_PLACEHOLDER
from unite.types import Item

TAG = "<|image_1|>"
_Side = tuple[str, str]
"""Text and picture path; an empty string is an absent part."""


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read one subset; equal candidates are one candidate."""
    path = root / benchmark.options["subset"] / "test-00000-of-00001.parquet"
    images = root / benchmark.options["images"]
    with as_published(benchmark, path):
        rows = list(_rows(path))
        known: dict[_Side, int] = {}
        pools = [
            tuple(dict.fromkeys(known.setdefault(side, len(known)) for side in sides))
            for _, sides in rows
        ]
        candidates = tuple(_item(side, images, _name(side)) for side in known)
        queries = tuple(
            _item(query, images, f"{number:04d}") for number, (query, _) in enumerate(rows)
        )
    return [
        Task(
            name=benchmark.name,
            split=benchmark.split,
            family=benchmark.family,
            queries=queries,
            candidates=candidates,
            positives=tuple(frozenset({pool[0]}) for pool in pools),
            target_modality=tuple(candidates[pool[0]].modality for pool in pools),
            metrics=benchmark.metrics,
            query_groups=grouped([picture or None for (_, picture), _ in rows]),
            pools=tuple(pools),
        )
    ]


def _rows(path: Path) -> Iterator[tuple[_Side, list[_Side]]]:
    for number, row in read_table(path):
        yield (row["qry_text"], row["qry_img_path"]), _candidates(row, number)


def _candidates(row: Mapping[str, Any], number: int) -> list[_Side]:
    sides = list(zip(row["tgt_text"], row["tgt_img_path"], strict=True))
    if not sides:
        raise DataError(f"Row {number} has no candidates.", "Download the file again.")
    return sides


def _item(side: _Side, images: Path, name: str) -> Item:
    text, image = side
    tagged = text.replace(TAG, IMAGE_PLACEHOLDER) if image else text
    return Item(text=tagged or None, images=(str(images / image),) if image else (), id=name)


def _name(side: _Side) -> str:
    """An id that is the same on every machine."""
    return hashlib.sha256("\0".join(side).encode()).hexdigest()[:16]
