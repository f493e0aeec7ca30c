import shutil
from dataclasses import replace
from json import dumps, loads
from pathlib import Path

import numpy as np
import pytest

from unite.evaluation.runner import run
from unite.evaluation.task import Task
from unite.evaluation.vectors import item_key
from unite.model.checkpoint import Model
from unite.studies.scoring import TaskResult, answered, modality_gap, score
from unite.types import Clip, Embedding, Item, Modality

TEXTS = [Item(id=f"t{i}", text=f"text {i}") for i in range(2)]
IMAGES = [Item(id=f"i{i}", images=(f"{i}.png",)) for i in range(2)]


class Fake:
    """An encoder that looks vectors up."""

    model_id, dim, dtype = "fake", 2, "float32"

    def __init__(self, **rows: list[float]) -> None:
        items = {str(item.id): item for item in (*TEXTS, *IMAGES)}
        self.known = {
            item_key(items[name]): np.array(row, np.float32) for name, row in rows.items()
        }

    def embed(self, items):  # noqa: ANN001, ANN201
        for item in items:
            yield Embedding(self.known[item_key(item)])


def task(candidates: list[Item], positives: list[set[int]], targets: list[Modality]) -> Task:
    return Task(
        "t2i", "seen", "fine", tuple(TEXTS), tuple(candidates),
        tuple(frozenset(answers) for answers in positives), tuple(targets),
    )  # fmt: skip


def scored(given: Task, fake: Fake) -> TaskResult:
    (result,) = run([given], lambda _: fake).results
    return answered(given, result)


def test_ranks_and_first_hits_by_hand() -> None:
    fake = Fake(t0=[1, 0], t1=[0, 1], i0=[0.8, 0.6], i1=[0.6, 0.8])
    mixed = task([*IMAGES, *TEXTS], [{0}, {1}], [Modality.IMAGE] * 2)
    found = scored(mixed, fake)
    assert found.rank_Q == (2, 2)  # each text finds itself first
    assert found.first_Q == ("text", "text")
    assert found.target_Q == ("image", "image")
    assert found.kind == "text→image"
    assert scored(task(IMAGES, [{0}, {1}], [Modality.IMAGE] * 2), fake).rank_Q == (1, 1)


def test_the_gap_is_the_distance_of_means() -> None:
    fake = Fake(t0=[1, 0], t1=[1, 0], i0=[0, 1], i1=[0, -1])
    both = task([*IMAGES, *TEXTS], [{0}, {1}], [Modality.IMAGE] * 2)
    done = run([both], lambda _: fake)
    assert modality_gap([both], done.vector) == pytest.approx({"image|text": 1.0, "mean": 1.0})
    assert modality_gap([task(IMAGES, [{0}, {1}], [Modality.IMAGE] * 2)], done.vector) == {}


def test_the_gap_counts_clips_of_a_fixed_number_of_frames() -> None:
    clips = tuple(Item(id=f"v{i}", videos=(Clip(f"{i}.mp4"),)) for i in range(2))
    fake = Fake(t0=[1, 0], t1=[1, 0])
    fake.known |= {item_key(clip): np.array([0, 1], np.float32) for clip in clips}
    texts = task(TEXTS, [{0}, {1}], [Modality.TEXT] * 2)
    video = replace(texts, name="t2v", candidates=clips, nframes=48)
    done = run([video, texts], lambda _: fake)
    assert modality_gap([video, texts], done.vector)["text|video"] == pytest.approx(2**0.5)


def test_a_result_reads_back() -> None:
    result = TaskResult("a", "b", "c", "d", 3, (1, 2), ("image", "text"), ("text", "text"))
    row = loads(dumps(result.to_json()))
    assert (row["target_Q"], row["first_Q"]) == (["image", "text"], "text")
    assert TaskResult.from_json(row) == result
    assert not result.control


@pytest.mark.parametrize(("whatever", "frames"), [(None, 48), (4, 4)])
def test_frames_of_a_suite_are_its_own_unless_they_are_what_is_studied(
    world: Path, tiny_model: Model, tmp_path: Path, whatever: int | None, frames: int
) -> None:
    root, clips = tmp_path / "MSRVTT", sorted((world / "videos").glob("*.mp4"))[:2]
    root.mkdir()
    for number, clip in enumerate(clips):
        shutil.copy(clip, root / f"video{number}.mp4")
    (root / "MSRVTT_JSFUSION_test.csv").write_text("video_id,sentence\nvideo0,a\nvideo1,b\n")
    kept = tmp_path / "kept"
    row = score(tiny_model, tmp_path, kept, suites=["msrvtt"], frames=8, whatever=whatever)
    assert {task["task"] for task in row["tasks"]} == {"msrvtt/t2v", "msrvtt/v2t"}
    policy = tiny_model.policy.with_frames(frames)
    wanted = replace(tiny_model, policy=policy).id
    assert any(folder.name.startswith(wanted) for folder in kept.iterdir())
