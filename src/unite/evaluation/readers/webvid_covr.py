"""WebVid-CoVR: a CSV of triplets, clips under the paths it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unite.evaluation.facts import Benchmark
from unite.evaluation.readers.files import as_published, grouped, table_rows
from unite.evaluation.task import Task
from unite.types import Clip, Item, Modality

CLIPS = Path("8M") / "train"


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read the composed task: the source clip and the change ask for the target."""
    path = root / benchmark.needs[0].path
    with as_published(benchmark, path):
        rows = [_triplet(row) for row in table_rows(path)]
    number = {name: place for place, name in enumerate(sorted({target for _, target, _ in rows}))}
    return [
        Task(
            name=f"{benchmark.name}/vt2v",
            split=benchmark.split,
            family=benchmark.family,
            queries=tuple(
                Item(text=edit, videos=(_clip(root, source),), id=f"{place:05d} {source}")
                for place, (source, _, edit) in enumerate(rows)
            ),
            candidates=tuple(Item(videos=(_clip(root, name),), id=name) for name in number),
            positives=tuple(frozenset({number[target]}) for _, target, _ in rows),
            target_modality=(Modality.VIDEO,) * len(rows),
            nframes=benchmark.nframes,
            metrics=benchmark.metrics,
            query_groups=grouped([source for source, _, _ in rows]),
            excluded=tuple(
                frozenset({number[source]} if source in number and source != target else ())
                for source, target, _ in rows
            ),
        )
    ]


def _triplet(row: Mapping[str, str | None]) -> tuple[str, str, str]:
    source, target, edit = row["pth1"], row["pth2"], row["edit"]
    if not (source and target and edit and edit.strip()):
        raise ValueError(f"a row names no source, no target or no change: {dict(row)}")
    return source, target, edit


def _clip(root: Path, name: str) -> Clip:
    return Clip(str(root / CLIPS / f"{name}.mp4"))
