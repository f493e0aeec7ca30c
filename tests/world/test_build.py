from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from filelock import FileLock
from PIL import Image

from unite.errors import DataError
from unite.world import build
from unite.world.build import (
    FACTS,
    LOCK,
    MARKER,
    VERSION,
    Plan,
    build_world,
    draw,
    gallery_size,
    plan_world,
    read_facts,
    write_atomic,
)
from unite.world.pairs import STAGE_1, STAGE_2, PairWriter
from unite.world.render import render_clip, render_image
from unite.world.sampling import rng_for

from .conftest import SEED, SIZE, World
from .test_render import expected_frames

SCRIPT = """
import sys
from pathlib import Path
from unite.world.build import build_world
if __name__ == "__main__":
    build_world(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), workers=int(sys.argv[4]))
"""


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def start(
    folder: Path, root: Path, workers: int, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    script = folder / "make.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(script), str(root), str(SIZE), str(SEED), str(workers)]
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    return subprocess.Popen(command, env=environment, stderr=stderr, start_new_session=True)


def members(session: int) -> set[int]:
    """The processes of a session that still run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.add(int(entry.name))
    return found


def test_another_process_with_two_workers_writes_the_same_bytes(
    world: World, tmp_path: Path
) -> None:
    process = start(tmp_path, tmp_path / "again", workers=2)
    assert process.wait(200) == 0
    assert digests(tmp_path / "again") == digests(world.root)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_build_resumes_to_the_same_bytes(
    world: World, tmp_path: Path, workers: int
) -> None:
    root = tmp_path / "killed"
    process = start(tmp_path, root, workers)
    deadline = time.monotonic() + 200
    while len(list(root.glob("images/*.png"))) < 20:
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(200)
    while members(process.pid):  # its workers notice and end
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = digests(root)
    assert FACTS not in before
    drawn = {path for path in before if path.endswith((".png", ".mp4"))}
    whole = digests(world.root)
    assert all(before[path] == whole[path] for path in drawn)
    times = {path: (root / path).stat().st_mtime_ns for path in drawn}
    build_world(root, SIZE, SEED, workers=1)
    assert digests(root) == whole
    assert all((root / path).stat().st_mtime_ns == times[path] for path in drawn)


def test_an_interrupted_text_phase_resumes_too(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_space(path: Path, data: bytes) -> None:
        if path.name == "i2t.json":
            path.with_name(f".{path.name}.part").write_bytes(data[:10])
            raise OSError("no space left")
        write_atomic(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(build, "write_atomic", out_of_space)
        with pytest.raises(OSError, match="no space"):
            build_world(tmp_path / "w", SIZE, SEED, workers=1)
    with pytest.raises(DataError, match="no finished world"):
        read_facts(tmp_path / "w")
    build_world(tmp_path / "w", SIZE, SEED, workers=1)
    assert digests(tmp_path / "w") == digests(world.root)


def test_a_kill_just_before_the_marker_goes_leaves_no_trace(world: World, tmp_path: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    for name in (FACTS, MARKER):
        write_atomic(root / name, (world.root / FACTS).read_bytes())
    assert build_world(root, SIZE, SEED) == read_facts(world.root)
    assert not (root / MARKER).exists()


def test_a_finished_world_is_left_alone(world: World) -> None:
    before = digests(world.root)
    calls: list[tuple[int, int]] = []
    facts = build_world(world.root, SIZE, SEED, progress=lambda *done: calls.append(done))
    assert facts == read_facts(world.root)
    assert digests(world.root) == before
    assert not calls


@pytest.mark.parametrize(("size", "seed", "named"), [(SIZE + 1, SEED, "size"), (SIZE, 9, "seed")])
def test_a_world_of_another_kind_is_not_overwritten(
    world: World, tmp_path: Path, size: int, seed: int, named: str
) -> None:
    with pytest.raises(DataError, match=f"of {named}"):
        build_world(world.root, size, seed)
    write_atomic(tmp_path / MARKER, (world.root / FACTS).read_bytes())
    with pytest.raises(DataError, match="another directory"):
        build_world(tmp_path, size, seed)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="not empty"):
        build_world(tmp_path, SIZE, SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_half_written_marker_does_not_block_the_folder(tmp_path: Path) -> None:
    (tmp_path / f".{MARKER}.part").write_bytes(b"{")
    build_world(tmp_path, 1, 0, workers=1)
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_world_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        build_world(tmp_path / "w", size, 0)
    assert not (tmp_path / "w").exists()


def test_unreadable_facts_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished world"):
        read_facts(tmp_path)
    (tmp_path / FACTS).write_text('{"seed": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        read_facts(tmp_path)


def test_facts_count_what_is_there(world: World) -> None:
    facts = read_facts(world.root)
    assert (facts.seed, facts.size, facts.version) == (SEED, SIZE, VERSION)
    assert facts.images == len(list(world.root.rglob("*.png")))
    assert facts.videos == len(list(world.root.rglob("*.mp4")))
    for source, count in facts.train.items():
        assert len(world.load(f"train/{source}.json")) == count
    for split, tasks in facts.eval.items():
        for task, count in tasks.items():
            assert len(world.load(f"eval/{split}/{task}.json")["queries"]) == count


def test_size_counts_training_pictures_and_clips(world: World) -> None:
    images = {p.name for p in (world.root / "images").glob("train-*.png")}
    assert len([name for name in images if not name.endswith("-part.png")]) == SIZE
    assert len(list((world.root / "videos").glob("train-*.mp4"))) == SIZE


def test_nothing_but_the_plan_is_written(world: World) -> None:
    media = {path for path in digests(world.root) if path.endswith((".png", ".mp4"))}
    assert media == {medium.path for medium in world.plan.media}
    assert {path.split("/")[0] for path in digests(world.root)} == {
        *("images", "videos", "train", "eval", "demo"),
        FACTS,
    }


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 16), (160, 16), (500, 50), (2000, 200), (90_000, 200)]
)
def test_gallery_sizes(size: int, expected: int) -> None:
    assert gallery_size(size) == expected


def test_a_plan_is_a_function_of_size_and_seed() -> None:
    assert plan_world(20, 4) == plan_world(20, 4)
    assert plan_world(20, 4).media != plan_world(20, 5).media


def test_a_file_depends_on_seed_and_name_only(world: World) -> None:
    for medium in (world.plan.media[5], world.plan.media[-1], world.plan.clips[0].clips[0]):
        data = (world.root / medium.path).read_bytes()
        assert draw(medium, SEED) == data
        assert draw(medium, SEED + 1) != data


def test_files_show_their_scenes(world: World) -> None:
    image, clip = world.plan.images[2].images[0], world.plan.clips[2].clips[1]
    drawn = render_image(image.scene, rng_for(SEED, f"look {image.path}"))
    assert np.array_equal(np.asarray(Image.open(world.root / image.path)), drawn)
    frames = render_clip(clip.scene, rng_for(SEED, f"look {clip.path}"))
    with av.open(io.BytesIO((world.root / clip.path).read_bytes())) as file:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 4


def test_every_picture_and_clip_can_be_opened(world: World) -> None:
    for medium in world.plan.media:
        path = world.root / medium.path
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert (image.size, image.mode) == ((84, 84), "RGB")
        else:
            with av.open(str(path)) as file:
                stream = file.streams.video[0]
                assert (stream.width, stream.height) == (84, 84)
                assert 17 <= stream.frames <= 32


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    facts = build_world(tmp_path / "w", 1, 0, progress=lambda *done: calls.append(done))
    total = facts.images + facts.videos
    assert calls[-1] == (total, total)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_atomic_writes_leave_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, b"old")
    (path.with_name(".file.json.part")).mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


def spoken(document: object) -> list[str]:
    """Every text and instruction in a JSON document."""
    if isinstance(document, dict):
        own = [document[key] for key in ("text", "instruction") if key in document]
        return own + [text for each in document.values() for text in spoken(each)]
    if isinstance(document, list):
        return [text for each in document for text in spoken(each)]
    return []


def words(texts: list[str]) -> set[str]:
    return set(" ".join(texts).replace(",", " ").replace(":", " ").split())


def test_texts_use_few_words(world: World) -> None:
    documents = [json.loads(path.read_bytes()) for path in world.root.glob("train/*.json")]
    assert 90 < len(words(spoken(documents))) < 140


def test_evaluation_uses_no_word_that_training_lacks(wide_plan: Plan) -> None:
    writer = PairWriter(wide_plan.images, wide_plan.clips, 1)
    trained = words(spoken([writer.rows(source) for source in (*STAGE_1, *STAGE_2)]))
    documents = [task.document() for tasks in wide_plan.tasks.values() for task in tasks]
    asked = words(spoken(documents) + list(wide_plan.demo.notes.values()))
    asked |= words(spoken(wide_plan.demo.queries))
    assert asked <= trained
    assert len(asked) > 100


def decoded(path: Path) -> npt.NDArray[np.uint8]:
    """The four frames a model sees of a file, shape (4, H, W, 3)."""
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return np.stack(frames)[np.linspace(0, len(frames) - 1, 4).round().astype(int)]


def test_files_of_a_temporal_group_can_be_told_apart(world: World) -> None:
    """By the four frames alone: each is nearest to what its own story may show."""
    paths = [path for path in world.media if "-order-" in path]
    groups = [list(each) for _, each in itertools.groupby(paths, lambda path: path[:-6])]
    assert len(groups) == 6
    for group in groups:
        for path in group:
            frames = decoded(world.root / path).astype(int)
            far = {other: misfit(world, path, other, frames) for other in group}
            assert min(far, key=lambda other: far[other]) == path


def misfit(world: World, path: str, story: str, frames: npt.NDArray[np.int_]) -> float:
    rng = rng_for(SEED, f"look {path}")
    allowed = expected_frames(world.media[story].scene, rng)
    pairs = zip(frames, allowed, strict=True)
    return float(sum(min(np.abs(frame - each).mean() for each in ways) for frame, ways in pairs))


def test_every_edit_shows(world: World) -> None:
    changes = [change for family in world.plan.images for change in family.changes]
    for change in changes:
        before, after = (
            render_image(medium.scene, rng_for(0, "one look")).astype(int)
            for medium in (change.before, change.after)
        )
        assert (np.abs(before - after).max(axis=2) > 40).sum() >= 10, change.edit


def test_no_two_files_are_equal(world: World) -> None:
    media = [
        digest for path, digest in digests(world.root).items() if path[-4:] in (".png", ".mp4")
    ]
    assert len(set(media)) == len(media)


def test_a_world_of_one_is_whole(tmp_path: Path) -> None:
    facts = build_world(tmp_path / "w", 1, 0, workers=1)
    assert facts.train["ti_fine"] == facts.train["tv_fine"] == 1
    assert facts.train["it2i_edit"] == facts.train["vt2v"] == facts.train["i2i"] == 0
    assert facts.eval["seen_combinations"]["it2i_edit"] == facts.gallery == 16


def test_an_empty_file_is_drawn_again(world: World, tmp_path: Path) -> None:
    """What a power cut can leave."""
    root = tmp_path / "w"
    write_atomic(root / MARKER, (world.root / FACTS).read_bytes())
    medium = world.plan.media[0]
    write_atomic(root / medium.path, b"")
    build_world(root, SIZE, SEED, workers=1)
    assert digests(root) == digests(world.root)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{"])
def test_a_damaged_marker_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(DataError, match=r"world\.part\.json cannot be read"):
        build_world(tmp_path, SIZE, SEED)


def test_a_world_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / LOCK),
        pytest.raises(DataError, match="Another process makes the world"),
    ):
        build_world(tmp_path, 1, 0, workers=1)
    build_world(tmp_path, 1, 0, workers=1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_killed_drawer_is_told_and_the_same_again_goes_on(world: World, tmp_path: Path) -> None:
    root = tmp_path / "w"
    process = start(tmp_path, root, workers=2, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while len(list(root.glob("images/*.png"))) < 20:
        assert process.poll() is None, "finished before one could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(max(members(process.pid)), signal.SIGKILL)  # spawned last
    said = process.communicate(timeout=200)[1].decode()
    assert "DataError: A process that draws ended early" in said
    build_world(root, SIZE, SEED, workers=1)
    assert digests(root) == digests(world.root)
