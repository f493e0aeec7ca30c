"""What is known of a benchmark: the form of the files in `unite.evaluation.tasks`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from unite.data.item_folder import walk
from unite.errors import DataError

ANNOTATIONS = (".json", ".jsonl", ".jsonlines", ".csv", ".txt", ".parquet")
"""Suffixes of files that say what is asked and what answers it."""


def files_below(root: Path) -> Iterator[Path]:
    """Media beneath a folder, one folder's names at a time; linked folders are followed.

    Raises:
        DataError: A folder cannot be listed.
    """
    for path, error in walk(root, lambda path: None) if root.is_dir() else ():
        if error is not None:
            raise DataError(f"Cannot list {path}: {error.strerror}.", "May one read there?")
        yield path


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A file or folder that a benchmark is read from.

    Attributes:
        path: Beneath the benchmark's own folder; may hold ``*``.
        what: What it is.
        source: Where its authors publish it.
        optional: Whether it is read without it as well.
    """

    path: str
    what: str
    source: str
    optional: bool = False

    def there(self, root: Path) -> bool:
        """Whether it lies beneath the benchmark's folder, which links may lead out of."""
        above, anywhere, name = self.path.rpartition("**/")
        if anywhere:
            return any(fnmatch(path.name, name) for path in files_below(root / above))
        return next(root.glob(self.path), None) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published score, in percent, to stand beside ours.

    Attributes:
        task: The task or group that it is of, such as ``msrvtt/t2v``.
        model: The model.
        metric: The metric, as ours are named.
        value: In percent.
        where: The place it was taken from.
        exact: Whether it is printed there as a number; otherwise it was read off a chart (±0.4).
    """

    task: str
    model: str
    metric: str
    value: float
    where: str
    exact: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: As on the command line; its tasks are ``name/direction``, or ``name`` alone.
        title: As people write it.
        suite: image-text, video, composed, mmeb or world.
        family: What it tests.
        reader: The module of `unite.evaluation.readers` that reads it.
        folder: Its folder beneath the data folder.
        needs: What must lie there.
        layout: Where the layout that the reader expects is published or read by others.
        split: The split that is scored.
        sizes: Queries and candidates of each task, as published.
        nframes: Frames of every clip; None where there are no clips or the model decides.
        protocol: How it is scored, in words.
        metrics: Metrics that are customary, the main score first.
        revision: The revision the layout was seen at, or a word on what is known of revisions.
        licence: Of the data.
        source: The authors' page.
        published: Scores to stand beside.
        group: Group within the suite (MMEB).
        in_distribution: Whether the suite's training data hold this set (MMEB).
        options: What the reader must know beside the folder.
        unverified: What could not be confirmed, and where it was looked for.
    """

    name: str
    title: str
    suite: str
    family: str
    reader: str
    folder: str
    needs: tuple[Need, ...]
    layout: str
    split: str
    sizes: Mapping[str, tuple[int, int]]
    protocol: str
    metrics: tuple[str, ...]
    revision: str
    licence: str
    source: str
    nframes: int | None = None
    published: tuple[Published, ...] = ()
    group: str | None = None
    in_distribution: bool | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()

    @property
    def main_score(self) -> str:
        """The metric that stands for the rest."""
        return self.metrics[0]

    def root(self, data: Path) -> Path:
        """The benchmark's folder beneath the data folder."""
        return data / self.folder

    def missing(self, data: Path) -> list[Need]:
        """What it needs and is not there."""
        root = self.root(data)
        return [need for need in self.needs if not need.optional and not need.there(root)]

    def fingerprint(self, data: Path) -> str:
        """A hash of the annotations as they are: names and contents of all that is not media."""
        digest, root = hashlib.sha256(), self.root(data)
        paths = {path for need in self.needs for path in root.glob(need.path)}
        for path in sorted(path for path in paths if path.suffix.lower() in ANNOTATIONS):
            digest.update(os.fsencode(path.relative_to(root)) + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]

    def require(self, data: Path) -> Path:
        """The benchmark's folder, whole.

        Raises:
            DataError: Something is missing; the message says what to get, where, and where to
                put it.
        """
        missing = self.missing(data)
        if missing:
            root = self.root(data)
            wants = "; ".join(
                f"{need.what} from {need.source}, and put it at {root / need.path}"
                for need in missing
            )
            raise DataError(f"{self.title} is not there.", f"Get {wants}.")
        return self.root(data)


IMAGE_TEXT = ("R@1", "R@5", "R@10")
PAPER = "UNITE, arXiv 2505.19650"
CHART = f"{PAPER}, radar chart of fine-grained retrieval"
UNITE_EVAL = "github.com/friedrichor/UNITE, eval/task_config.py at 86ea37e"


def both_ways(
    name: str,
    medium: str,
    model: str,
    scores: tuple[float, float],
    where: str = CHART,
    *,
    metric: str = "R@1",
    exact: bool = False,
) -> tuple[Published, ...]:
    """Published scores of both directions.

    Args:
        name: The benchmark.
        medium: ``i`` or ``v``.
        model: The model.
        scores: Text to medium, then medium to text.
        where: The place they were taken from.
        metric: The metric.
        exact: Whether they are printed there as numbers.
    """
    return tuple(
        Published(
            task=f"{name}/{way}", model=model, metric=metric, value=value, where=where, exact=exact
        )
        for way, value in zip((f"t2{medium}", f"{medium}2t"), scores, strict=True)
    )
