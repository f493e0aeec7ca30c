"""Writing a small world: plan, draw in worker processes, resume where it was cut off."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from unite.errors import DataError
from unite.media.pool import end_with_parent
from unite.world.demo import Demo, DemoMaker
from unite.world.families import (
    ClipFamily,
    ImageFamily,
    Medium,
    train_clip_families,
    train_image_families,
)
from unite.world.galleries import SPLITS, GalleryMaker
from unite.world.pairs import STAGE_1, STAGE_2, PairWriter
from unite.world.render import mp4_bytes, png_bytes, render_clip, render_crop, render_image
from unite.world.sampling import rng_for
from unite.world.tasks import Task, TaskWriter

VERSION = 3
"""Raised whenever the same seed and size give other bytes than before."""
MARKER, FACTS = "world.part.json", "world.json"
LOCK = ".world.lock"
CHUNK = 16
ALONE = 400
"""Below this many files a worker pool costs more than it saves."""
LARGEST_GALLERY, SMALLEST_GALLERY = 200, 16

Progress = Callable[[int, int], None]
"""Called with the files done and the files to do."""


@dataclass(frozen=True, slots=True)
class WorldFacts:
    """What a finished world holds, as ``world.json`` says it.

    Attributes:
        seed: What its randomness came from.
        size: Training pictures, and as many training clips.
        version: Of the generator.
        gallery: Evaluation scenes per split and kind.
        images: Picture files, cut-outs and evaluation included.
        videos: Clip files.
        train: Pairs per source.
        eval: Queries per split and task.
    """

    seed: int
    size: int
    version: int
    gallery: int
    images: int = 0
    videos: int = 0
    train: dict[str, int] = field(default_factory=dict)
    eval: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a world will hold, before anything is drawn."""

    images: list[ImageFamily]
    clips: list[ClipFamily]
    tasks: dict[str, list[Task]]
    demo: Demo
    media: list[Medium]


def gallery_size(size: int) -> int:
    """Evaluation scenes per split and kind of a world of this size."""
    return min(LARGEST_GALLERY, max(SMALLEST_GALLERY, size // 10))


def plan_world(size: int, seed: int) -> Plan:
    """Decide on every scene and every evaluation task; a function of its arguments alone."""
    images, clips = train_image_families(size, seed), train_clip_families(size, seed)
    trained = [medium for family in images for medium in family.images]
    trained += [medium for family in clips for medium in family.clips]
    used = {medium.scene.still_id for medium in trained}
    trained += [crop for family in images for _, crop in family.crops]
    media, tasks = trained, {}
    for split in SPLITS:
        gallery = GalleryMaker(split, seed, used).make(gallery_size(size))
        tasks[split] = TaskWriter(gallery, seed).tasks()
        media += [medium for family in gallery.images for medium in family.images]
        media += [crop for family in gallery.images for _, crop in family.crops]
        media += [clip for family in (*gallery.clips, *gallery.orders) for clip in family.clips]
    demo = DemoMaker(seed, used).make()
    return Plan(images, clips, tasks, demo, media + demo.media)


def build_world(
    directory: Path,
    size: int,
    seed: int,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> WorldFacts:
    """Write a world, or finish one that was cut off.

    The bytes of every file depend on size and seed only. Every write is atomic; ``world.json`` is
    written last and marks completeness.

    Args:
        directory: Where to; new, empty, or begun with the same size and seed.
        size: Training pictures, and as many training clips.
        seed: Where the randomness comes from.
        workers: Processes that draw; by default one a core, or none for a small world.
        progress: Called after every few files.

    Raises:
        DataError: The directory holds something else, or another process writes there.
    """
    if size < 1:
        raise DataError(f"A world of size {size} has nothing to train on.", "Give 1 or more.")
    directory = Path(directory)
    facts = WorldFacts(seed, size, VERSION, gallery_size(size))
    if (directory / FACTS).exists():
        return _finished(directory, facts)
    with _alone(directory):
        if (directory / FACTS).exists():  # by now
            return _finished(directory, facts)
        _claim(directory, facts)
        return _write(directory, facts, workers, progress)


def _write(
    directory: Path, facts: WorldFacts, workers: int | None, progress: Progress | None
) -> WorldFacts:
    seed = facts.seed
    plan = plan_world(facts.size, seed)
    _draw_all(directory, plan.media, seed, workers, progress)
    facts = replace(
        facts,
        images=sum(medium.path.endswith(".png") for medium in plan.media),
        videos=sum(medium.path.endswith(".mp4") for medium in plan.media),
        train=dict(_write_pairs(directory, plan, seed)),
        eval={split: _write_tasks(directory, split, plan.tasks[split]) for split in SPLITS},
    )
    _write_demo(directory, plan.demo)
    write_atomic(directory / FACTS, _json(asdict(facts)))
    (directory / MARKER).unlink()
    return facts


def read_facts(directory: Path) -> WorldFacts:
    """Read what a finished world holds.

    Raises:
        DataError: There is no finished world.
    """
    try:
        return WorldFacts(**json.loads((directory / FACTS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(
            f"{directory} holds no finished world.", "Make one with `unite world DIR`."
        ) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{directory / FACTS} cannot be read: {error}.") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write under a temporary name and rename; the name is the same each time, so none is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def draw(medium: Medium, seed: int) -> bytes:
    """The bytes of one picture or clip file."""
    rng = rng_for(seed, f"look {medium.look or medium.path}")
    if medium.scene.mover is not None:
        return mp4_bytes(render_clip(medium.scene, rng))
    if medium.crop is not None:
        return png_bytes(render_crop(medium.scene, medium.crop, rng))
    return png_bytes(render_image(medium.scene, rng))


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the directory; the lock of a killed process is gone with it."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"Another process makes the world in {directory}.",
            "Wait for it, or end it."
            if multiprocessing.parent_process() is None
            else 'A script that makes a world needs `if __name__ == "__main__":`.',
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps what is open; the next one takes it
            (directory / LOCK).unlink(missing_ok=True)
        lock.release()


def _finished(directory: Path, facts: WorldFacts) -> WorldFacts:
    """What a finished world holds, if it is the one that is asked for."""
    found = read_facts(directory)
    _same_or_raise(directory, asdict(found), facts)
    (directory / MARKER).unlink(missing_ok=True)
    return found


def _claim(directory: Path, facts: WorldFacts) -> None:
    """Make sure that the directory is ours to write."""
    marker = directory / MARKER
    if marker.exists():
        try:
            begun = json.loads(marker.read_bytes())
            _same_or_raise(directory, begun, facts)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{marker} cannot be read: {error!r}.", "Delete it with its folder, and begin anew."
            ) from error
        return
    ours = {f".{MARKER}.part", LOCK}
    if any(path.name not in ours for path in directory.iterdir()):
        raise DataError(f"{directory} is not empty and holds no world.", "Choose a new directory.")
    write_atomic(marker, _json(asdict(facts)))


def _same_or_raise(directory: Path, found: Mapping[str, Any], wanted: WorldFacts) -> None:
    for key in ("seed", "size", "version"):
        if found[key] != getattr(wanted, key):
            raise DataError(
                f"{directory} holds a world of {key} {found[key]}, not {getattr(wanted, key)}.",
                "Choose another directory, or ask for that one.",
            )


def _draw_all(
    directory: Path,
    media: Sequence[Medium],
    seed: int,
    workers: int | None,
    progress: Progress | None,
) -> None:
    todo = [medium for medium in media if not _is_drawn(directory / medium.path)]
    for folder in {(directory / medium.path).parent for medium in media}:
        folder.mkdir(parents=True, exist_ok=True)
    workers = workers or (1 if len(todo) < ALONE else os.cpu_count() or 1)
    chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
    done = len(media) - len(todo)
    for count in _drawn(directory, chunks, seed, workers):
        done += count
        if progress is not None:
            progress(done, len(media))


def _is_drawn(path: Path) -> bool:
    """Whether a file is there; a machine that lost its power may have left an empty one."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _drawn(
    directory: Path, chunks: Sequence[Sequence[Medium]], seed: int, workers: int
) -> Iterable[int]:
    if workers == 1:
        yield from (_draw_chunk(directory, chunk, seed) for chunk in chunks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as pool:
        try:
            futures = [pool.submit(_draw_chunk, directory, chunk, seed) for chunk in chunks]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "A process that draws ended early: if it said nothing above, it was killed, often "
                "for want of memory.",
                "The same again goes on.",
            ) from error


def _draw_chunk(directory: Path, media: Sequence[Medium], seed: int) -> int:
    for medium in media:
        write_atomic(directory / medium.path, draw(medium, seed))
    return len(media)


def _write_pairs(directory: Path, plan: Plan, seed: int) -> Iterable[tuple[str, int]]:
    writer = PairWriter(plan.images, plan.clips, seed)
    for source in (*STAGE_1, *STAGE_2):
        rows = writer.rows(source)
        lines = ",\n".join(json.dumps(row) for row in rows)
        write_atomic(directory / "train" / f"{source}.json", f"[\n{lines}\n]\n".encode())
        yield source, len(rows)


def _write_tasks(directory: Path, split: str, tasks: Iterable[Task]) -> dict[str, int]:
    counts = {}
    for task in tasks:
        write_atomic(directory / "eval" / split / f"{task.name}.json", _json(task.document()))
        counts[task.name] = len(task.queries)
    return counts


def _write_demo(directory: Path, demo: Demo) -> None:
    for path, text in demo.notes.items():
        write_atomic(directory / path, f"{text}\n".encode())
    write_atomic(directory / "demo" / "queries.json", _json(demo.queries))


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
