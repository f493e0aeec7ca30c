"""DiDeMo: descriptions of moments, joined to a paragraph for each video."""

from __future__ import annotations

from pathlib import Path

from unite.errors import DataError
from unite.evaluation.facts import Benchmark, files_below
from unite.evaluation.readers.captioned import Captioned, both_ways, video
from unite.evaluation.readers.files import as_published, load_json
from unite.evaluation.task import Task
from unite.media.suffixes import medium_of


def read(benchmark: Benchmark, root: Path) -> list[Task]:
    """Read both directions of the paragraph protocol."""
    path = root / "test_data.json"
    with as_published(benchmark, path):
        said: dict[str, list[str]] = {}
        for row in load_json(path):
            said.setdefault(row["video"], []).append(row["description"].strip())
    kept = _listed(benchmark, root / "test_list.txt", said)
    files = _clips(root / "videos")
    media = [
        Captioned(name, _clip(files, root / "videos", name), [" ".join(said[name])])
        for name in kept
    ]
    return both_ways(benchmark, media, video, "v")


def _listed(benchmark: Benchmark, path: Path, said: dict[str, list[str]]) -> list[str]:
    """The videos that count: those of the list where there is one, in order of the data."""
    if not path.exists():
        return list(said)
    with as_published(benchmark, path):
        lines = {line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")}
    names = lines - {""}
    absent = sorted(names - said.keys())
    if absent:
        raise DataError(
            f"{path} lists {len(absent)} videos that test_data.json does not describe, such as "
            f"{absent[0]!r}.",
            "Names must be as there, with their suffixes; without the list all videos count.",
        )
    return [name for name in said if name in names]


def _clips(folder: Path) -> dict[str, Path]:
    """Every clip by its name and by its name without suffix; full names win, then the first."""
    clips = (path for path in files_below(folder) if medium_of(path.name) == "video")
    paths = sorted(clips, reverse=True)
    return {path.stem: path for path in paths} | {path.name: path for path in paths}


def _clip(files: dict[str, Path], folder: Path, name: str) -> Path:
    for known in (name, f"{name}.mp4", Path(name).stem):
        if known in files:
            return files[known]
    return folder / name
