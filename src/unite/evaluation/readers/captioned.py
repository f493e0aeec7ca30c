"""Media with captions as two tasks: a caption finds its medium, a medium one of its captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unite.errors import DataError
from unite.evaluation.facts import Benchmark
from unite.evaluation.task import Task
from unite.types import Clip, Item, Modality


@dataclass(frozen=True, slots=True)
class Captioned:
    """A medium, named by an id of its own, and its captions."""

    id: str
    path: Path
    captions: Sequence[str]


def image(path: Path, name: str) -> Item:
    """A picture as an item."""
    return Item(images=(str(path),), id=name)


def video(path: Path, name: str) -> Item:
    """A whole clip as an item."""
    return Item(videos=(Clip(str(path)),), id=name)


def both_ways(
    benchmark: Benchmark,
    media: Sequence[Captioned],
    item: Callable[[Path, str], Item],
    letter: str,
    *,
    nearest_caption: bool = False,
) -> list[Task]:
    """The two tasks, text to medium first.

    Args:
        benchmark: Whose tasks they are.
        media: Each once, with all its captions.
        item: Makes an item of a path and an id: `image` or `video`.
        letter: ``i`` or ``v``, for the names of the tasks.
        nearest_caption: Whether a medium is asked of media by the nearest caption of each, and
            not of all captions one by one.

    Raises:
        DataError: A medium has no caption or an empty one, or two have the same id.
    """
    _check(benchmark, media)
    shown = tuple(item(medium.path, medium.id) for medium in media)
    texts, owner = _texts(media)
    to_media = _task(benchmark, f"t2{letter}", texts, shown, [{number} for number in owner])
    to_texts = _task(benchmark, f"{letter}2t", shown, texts, _captions_of(owner, len(media)))
    several = tuple(owner) if len(texts) > len(media) else ()
    return [
        replace(to_media, query_groups=several),
        replace(to_texts, candidate_groups=several if nearest_caption else ()),
    ]


def _check(benchmark: Benchmark, media: Sequence[Captioned]) -> None:
    seen: set[str] = set()
    for medium in media:
        worded = [isinstance(text, str) and bool(text.strip()) for text in medium.captions]
        if not worded or not all(worded):
            raise DataError(
                f"{benchmark.title}: {medium.id} has no caption, or an empty one.",
                f"Get the annotations again from {benchmark.source}.",
            )
        if medium.id in seen:
            raise DataError(
                f"{benchmark.title}: {medium.id} is there twice.",
                f"Get the annotations again from {benchmark.source}.",
            )
        seen.add(medium.id)


def _texts(media: Sequence[Captioned]) -> tuple[tuple[Item, ...], list[int]]:
    texts, owner = [], []
    for number, medium in enumerate(media):
        for place, caption in enumerate(medium.captions):
            texts.append(Item(text=caption, id=f"{medium.id}#{place}"))
            owner.append(number)
    return tuple(texts), owner


def _captions_of(owner: Sequence[int], count: int) -> list[set[int]]:
    captions: list[set[int]] = [set() for _ in range(count)]
    for place, number in enumerate(owner):
        captions[number].add(place)
    return captions


def _task(
    benchmark: Benchmark,
    way: str,
    queries: tuple[Item, ...],
    candidates: tuple[Item, ...],
    answers: Sequence[set[int]],
) -> Task:
    target: Modality = candidates[0].modality if candidates else Modality.TEXT
    return Task(
        name=f"{benchmark.name}/{way}",
        split=benchmark.split,
        family=benchmark.family,
        queries=queries,
        candidates=candidates,
        positives=tuple(frozenset(numbers) for numbers in answers),
        target_modality=(target,) * len(queries),
        nframes=benchmark.nframes,
        metrics=benchmark.metrics,
    )
