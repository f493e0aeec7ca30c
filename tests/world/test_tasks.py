"""Every task is solved by brute force from texts and scenes, without the ids that wrote it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from unite.world.build import Plan
from unite.world.captions import INSTRUCTIONS
from unite.world.galleries import SPLITS
from unite.world.scenes import NEW_SEQUENCES, Scene
from unite.world.tasks import MIXED, Entry, Task, mixed

from .conftest import World
from .reader import is_answer, named, read_coarse, read_edit, read_fine, read_story_edit

Row = dict[str, Any]
NAMES = (
    "tt",
    "t2i_coarse",
    "t2i_fine",
    "t2v_coarse",
    "t2v_fine",
    "i2t",
    "v2t",
    "t2v_temporal",
    "i2i",
    "t2ti",
    "it2t",
    "it2i_edit",
    "it2i_edit_text_only",
    "it2i_edit_visual_only",
    "it2i_crop",
    "vt2v",
    "vt2v_text_only",
    "vt2v_visual_only",
    "mixed",
)
CASES = list(itertools.product(SPLITS, NAMES))


def shown(world: World, row: Row) -> Any:
    return world.medium(row.get("image") or row["video"])


def solver(world: World, task: str, query: Row) -> Callable[[Row], bool]:
    """Whether a candidate answers a query, by reading alone."""
    text = query.get("text", "")
    if task.endswith("coarse"):
        pairs = read_coarse(text)
        return lambda row: (
            pairs == sorted((thing.colour, thing.shape) for thing in shown(world, row).scene.things)
        )
    if task == "it2t":
        thing = named(shown(world, query).scene, text)
        return lambda row: is_answer(row["text"], thing)
    if task == "it2i_crop":
        thing = named(shown(world, query).scene, text)
        like = (thing.size, thing.colour, thing.shape)

        def is_part(row: Row) -> bool:
            part = shown(world, row).crop
            return part is not None and (part.size, part.colour, part.shape) == like

        return is_part
    wanted = wanted_scene(world, task, query)

    def fits(row: Row) -> bool:
        if "image" in row or "video" in row:
            return bool(shown(world, row).scene == wanted)
        return read_fine(row["text"]) == wanted

    return fits


def wanted_scene(world: World, task: str, query: Row) -> Scene:
    if task == "it2i_edit":
        return read_edit(shown(world, query).scene, query["text"])
    if task == "vt2v":
        return read_story_edit(shown(world, query).scene, query["text"])
    if "text" in query:
        return read_fine(query["text"])
    scene: Scene = shown(world, query).scene
    return scene


def parts(row: Row) -> str:
    return ",".join(key for key in ("text", "image", "video") if key in row)


@pytest.mark.parametrize(("split", "name"), CASES)
def test_tasks_have_their_format(world: World, split: str, name: str) -> None:
    task = world.load(f"eval/{split}/{name}.json")
    assert task["task"] == name
    assert task["family"] in {"coarse", "fine", "temporal", "composed", "questions", "mixed"}
    ids = [row["id"] for row in (*task["queries"], *task["candidates"])]
    assert len(set(ids)) == len(ids)
    assert list(task["positives"]) == [row["id"] for row in task["queries"]]
    known = {row["id"] for row in task["candidates"]}
    for found in task["positives"].values():
        assert 0 < len(found) == len(set(found)) < len(known)
        assert set(found) <= known
    for row in (*task["queries"], *task["candidates"]):
        for key in ("image", "video"):
            if key in row:
                assert (world.root / "eval" / split / row[key]).resolve().is_file()
                assert "train-" not in row[key]


def test_every_task_is_there(world: World) -> None:
    for split in SPLITS:
        files = {path.stem for path in (world.root / "eval" / split).glob("*.json")}
        assert files == set(NAMES)


@pytest.mark.parametrize(
    ("split", "name"), [case for case in CASES if not case[1].endswith("_only")]
)
def test_positives_are_all_that_brute_force_finds(world: World, split: str, name: str) -> None:
    task = world.load(f"eval/{split}/{name}.json")
    for query in task["queries"]:
        kind = query["id"].split("/")[0]
        fits = solver(world, kind, query)
        modality = query.get("target_modal", "")
        candidates = (r for r in task["candidates"] if modality in ("", parts(r)))
        found = [row["id"] for row in candidates if fits(row)]
        assert found == task["positives"][query["id"]]


@pytest.mark.parametrize(("split", "name"), CASES)
def test_stage_2_queries_ask_as_in_training(world: World, split: str, name: str) -> None:
    stage_1 = {"tt", "t2i_coarse", "t2i_fine", "t2v_coarse", "t2v_fine", "t2v_temporal"}
    for query in world.load(f"eval/{split}/{name}.json")["queries"]:
        kind = re.sub("_(text|visual)_only", "", query["id"].split("/")[0])
        if kind in stage_1:
            assert "instruction" not in query
        else:
            assert query["instruction"] in INSTRUCTIONS[kind]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["it2i_edit", "vt2v"])
def test_controls_drop_one_part_and_change_nothing_else(
    world: World, split: str, name: str
) -> None:
    whole = world.load(f"eval/{split}/{name}.json")
    for control, kept in (("text_only", {"text"}), ("visual_only", {"image", "video"})):
        task = world.load(f"eval/{split}/{name}_{control}.json")
        assert task["candidates"] == whole["candidates"]
        assert list(task["positives"].values()) == list(whole["positives"].values())
        for query, full in zip(task["queries"], whole["queries"], strict=True):
            assert query.keys() - {"id", "instruction"} <= kept
            assert query.items() - {("id", query["id"])} <= full.items()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["it2i_edit", "it2i_crop", "vt2v"])
def test_composed_galleries_hold_the_sources(world: World, split: str, name: str) -> None:
    task = world.load(f"eval/{split}/{name}.json")
    assert len(task["candidates"]) == 2 * len(task["queries"])
    gallery = {parts(row) + row.get("image", row.get("video")) for row in task["candidates"]}
    for query in task["queries"]:
        reference = query.get("image") or query["video"]
        assert any(each.endswith(reference) for each in gallery)
        positives = task["positives"][query["id"]]
        assert not any(reference.endswith(each) for each in positives)


@pytest.mark.parametrize("split", SPLITS)
def test_the_mixed_gallery_is_the_union(world: World, split: str) -> None:
    task = world.load(f"eval/{split}/mixed.json")
    ids = {row["id"] for row in task["candidates"]}
    parted = {row["id"]: parts(row) for row in task["candidates"]}
    assert set(parted.values()) == {"text", "image", "video", "text,image"}
    for name in MIXED:
        own = world.load(f"eval/{split}/{name}.json")
        assert {row["id"] for row in own["candidates"]} <= ids
        for query in own["queries"]:
            assert task["positives"][query["id"]] == own["positives"][query["id"]]
    for query in task["queries"]:
        assert {parted[each] for each in task["positives"][query["id"]]} == {query["target_modal"]}


@pytest.mark.parametrize("split", SPLITS)
def test_what_a_bare_caption_might_mean_as_well_does_not_count(world: World, split: str) -> None:
    """Its text and its page; whoever is told what to look for has nothing excluded."""
    task = world.load(f"eval/{split}/mixed.json")
    parted = {row["id"]: parts(row) for row in task["candidates"]}
    for query in task["queries"]:
        others = task["excluded"].get(query["id"], [])
        asks_for_image = query["id"].startswith("t2i_fine")
        assert {parted[each] for each in others} == (
            {"text", "text,image"} if asks_for_image else set()
        )
        (answer,) = task["positives"][query["id"]]
        assert not others or all(each.endswith(answer) for each in others)
    assert "excluded" not in world.load(f"eval/{split}/t2i_fine.json")


def test_new_temporal_queries_are_of_held_out_sequences(world: World) -> None:
    task = world.load("eval/new_combinations/t2v_temporal.json")
    assert 0 < len(task["queries"]) < len(task["candidates"])
    for query in task["queries"]:
        assert read_fine(query["text"]).sequence in NEW_SEQUENCES


def test_most_queries_have_one_answer(wide_plan: Plan) -> None:
    for tasks in wide_plan.tasks.values():
        for task in tasks:
            counts = [len(found) for found in task.document()["positives"].values()]
            alone = counts.count(1) / len(counts)
            # 16 held-out things in two sizes cannot tell all cut-outs of a gallery apart.
            assert alone > (0.25 if task.name == "it2i_crop" else 0.95), task.name


def test_a_query_lists_every_candidate_of_its_meaning() -> None:
    gallery = [Entry(name, {"text": name}, meaning) for name, meaning in ("ax", "bx", "cy")]
    asked = [Entry("q1", {"text": "?"}, "x"), Entry("q2", {"text": "?"}, "y")]
    document = Task("t", "fine", asked, gallery).document()
    assert document["positives"] == {"q1": ["a", "b"], "q2": ["c"]}
    assert document["queries"][0] == {"id": "q1", "text": "?"}


def test_a_mixed_query_lists_its_own_modality_alone() -> None:
    image = Entry("a", {"image": "a.png"}, "x")
    text = Entry("b", {"text": "b"}, "x")
    tasks = [
        Task("t2i", "fine", [Entry("t2i/0", {"text": "?"}, "x")], [image]),
        Task("i2t", "fine", [Entry("i2t/0", {"image": "?"}, "x")], [text, image]),
    ]
    document = mixed(tasks).document()
    assert [row["id"] for row in document["candidates"]] == ["a", "b"]
    assert document["positives"] == {"t2i/0": ["a"], "i2t/0": ["b"]}
    assert document["excluded"] == {"t2i/0": ["b"], "i2t/0": ["a"]}
    assert [row["target_modal"] for row in document["queries"]] == ["image", "text"]
