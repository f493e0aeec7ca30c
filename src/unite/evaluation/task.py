"""A retrieval task: queries, a gallery, and which of it answers which query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from unite.data.records import content_id
from unite.errors import DataError
from unite.types import Item, Modality

MIXED = "mixed"
"""The family of tasks whose gallery holds those of others."""
UNION = "all galleries"
"""The task that asks everything of everything."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite.

    Attributes:
        name: The task, such as ``msrvtt/t2v``.
        split: The part of the suite it belongs to.
        family: What it tests: coarse, fine, temporal, composed, questions, mixed.
        queries: What is asked; each has an id of its own.
        candidates: The gallery; each has an id of its own, by which ties are broken.
        positives: Candidate numbers that answer each query, in order of the queries.
        target_modality: The modality of each query's answer.
        nframes: Frames of every clip; None leaves it to the model.
        metrics: Customary metrics, the main score first; empty for all.
        pools: The candidate numbers that each query is asked of; None for the whole gallery.
        excluded: Candidate numbers that do not count for a query; empty for none at all.
        query_groups: A number for each query, equal for those about one medium, which are no
            independent evidence: they are resampled together. Empty: each is one by itself.
        candidate_groups: A number for each candidate; of those with the same one, only the
            nearest counts. Empty: each is one by itself.
    """

    name: str
    split: str
    family: str
    queries: tuple[Item, ...]
    candidates: tuple[Item, ...]
    positives: tuple[frozenset[int], ...]
    target_modality: tuple[Modality, ...]
    nframes: int | None = None
    metrics: tuple[str, ...] = ()
    pools: tuple[tuple[int, ...], ...] | None = None
    excluded: tuple[frozenset[int], ...] = ()
    query_groups: tuple[int, ...] = ()
    candidate_groups: tuple[int, ...] = ()

    @property
    def main_score(self) -> str:
        """The metric that stands for the rest."""
        return self.metrics[0] if self.metrics else "R@1"

    @property
    def items(self) -> Iterable[Item]:
        """Queries, then candidates."""
        return (*self.queries, *self.candidates)

    @property
    def gallery_size(self) -> int:
        """The most candidates that a query is asked of; of a group only one counts."""
        if self.pools is not None:
            return max(map(len, self.pools), default=0)
        return len(set(self.candidate_groups)) or len(self.candidates)

    def frames_of(self, item: Item) -> int | None:
        """Frames with which an item of it is embedded: words and pictures know of none."""
        return self.nframes if item.videos else None

    def barred(self, query: int) -> frozenset[int]:
        """Candidates that do not count for a query."""
        return self.excluded[query] if self.excluded else frozenset()


def union(tasks: Sequence[Task]) -> Task:
    """Ask the queries of several tasks of all their candidates together.

    A candidate that several tasks hold is there once, and stands for itself alone. A query that is
    a candidate elsewhere does not find itself, where the other direction is asked. One of another
    task may answer a query as well without being known to; scores of a union are comparable
    between models, not with those of its parts.

    Args:
        tasks: Of one frame policy, each with one gallery for all its queries; mixed ones are left
            out.

    Raises:
        DataError: A task has a gallery for each query, the frames differ, or nothing is left.
    """
    parts = [task for task in tasks if task.family != MIXED]
    if not parts:
        raise DataError(
            f"Every task is of the family {MIXED!r} already: nothing is left to mix.",
            "Leave out --mixed, or give your tasks another family.",
        )
    ruled = [task.name for task in parts if task.pools is not None or task.excluded]
    if ruled:
        raise DataError(
            f"{ruled[0]} has rules of its own on what counts for a query, and cannot be mixed.",
            "Run it by a command of its own, without mixing.",
        )
    frames = {task.nframes for task in parts if _has_clips(task)}
    if len(frames) > 1:
        raise DataError(
            f"Tasks of {sorted(frames, key=str)} frames cannot share a gallery.",
            "Mix suites that take the same number of frames.",
        )
    gallery: dict[str, Item] = {}
    for task in parts:
        for item in task.candidates:
            gallery.setdefault(content_id(item), replace(item, id=_id(task, item)))
    number = {content: place for place, content in enumerate(gallery)}
    positives = tuple(
        frozenset(number[content_id(task.candidates[answer])] for answer in answers)
        for task in parts
        for answers in task.positives
    )
    own = (number.get(_shown(item)) for task in parts for item in task.queries)
    excluded = tuple(
        frozenset(() if place is None else {place}) - answers
        for place, answers in zip(own, positives, strict=True)
    )
    return Task(
        name=UNION,
        split="+".join(dict.fromkeys(task.split for task in parts)),
        family=MIXED,
        queries=tuple(replace(item, id=_id(task, item)) for task in parts for item in task.queries),
        candidates=tuple(gallery.values()),
        positives=positives,
        target_modality=tuple(target for task in parts for target in task.target_modality),
        nframes=frames.pop() if frames else None,
        query_groups=tuple(_query_groups(parts)) if any(t.query_groups for t in parts) else (),
        excluded=excluded if any(excluded) else (),
    )


def _shown(item: Item) -> str:
    """What a candidate's content id is that shows what a query shows."""
    return content_id(replace(item, instruction=None))


def _query_groups(parts: Sequence[Task]) -> Iterator[int]:
    """The groups of several tasks' queries, numbered apart."""
    first = 0
    for task in parts:
        groups = task.query_groups or range(len(task.queries))
        yield from (first + group for group in groups)
        first += max(groups, default=-1) + 1


def _id(task: Task, item: Item) -> str:
    return f"{task.split}/{task.name}/{item.id}"


def _has_clips(task: Task) -> bool:
    return any(item.videos for item in task.items)
