from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import Any

import pytest

from unite.types import Modality
from unite.world.captions import INSTRUCTIONS
from unite.world.pairs import STAGE_1, STAGE_2, PairWriter, against, pair, side
from unite.world.scenes import NEW_PAIRS

from .conftest import World
from .reader import is_answer, named, plain, read_coarse, read_edit, read_fine, read_story_edit

SOURCES = (*STAGE_1, *STAGE_2)
PARTS = ("text", "image", "video")


def rows(world: World, source: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.load(f"train/{source}.json")
    return found


def sides(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row[key] for key in ("query", "candidate", "negative") if key in row]


@pytest.mark.parametrize("source", SOURCES)
def test_pairs_have_the_released_format(world: World, source: str) -> None:
    found = rows(world, source)
    assert found
    for row in found:
        extra = {"negative", "negative_id", "negative_also_id", "candidate_also_id"}
        assert row.keys() - extra == {
            "query",
            "candidate",
            "target_modal",
            "query_id",
            "candidate_id",
        }
        present = [key for key in PARTS if key in row["candidate"]]
        assert row["target_modal"] == ",".join(present)
        assert Modality.parse(row["target_modal"])
        for each in sides(row):
            assert list(each) == [key for key in (*PARTS, "instruction") if key in each]
            for key in ("image", "video"):
                if key in each:
                    assert (world.root / "train" / each[key]).resolve().is_file()


@pytest.mark.parametrize("source", SOURCES)
def test_stage_2_queries_carry_an_instruction_and_nothing_else_does(
    world: World, source: str
) -> None:
    for row in rows(world, source):
        assert ("instruction" in row["query"]) == (source in STAGE_2)
        if source in STAGE_2:
            assert row["query"]["instruction"] in INSTRUCTIONS[source]
        assert all("instruction" not in each for each in sides(row)[1:])


@pytest.mark.parametrize("source", SOURCES)
def test_training_texts_never_name_a_held_out_pair(world: World, source: str) -> None:
    banned = {f"{colour} {shape}" for shape, colour in NEW_PAIRS}
    for row in rows(world, source):
        for each in sides(row):
            text = plain(each.get("text", ""))
            assert not any(re.search(rf"\b{words}\b", text) for words in banned)


def test_training_uses_training_media_only(world: World) -> None:
    for source in SOURCES:
        for row in rows(world, source):
            references = [e[k] for e in sides(row) for k in ("image", "video") if k in e]
            assert all("/train-" in reference for reference in references)


@pytest.mark.parametrize("source", ["ti_coarse", "tv_coarse"])
def test_coarse_ids_are_equal_if_and_only_if_the_caption_fits(world: World, source: str) -> None:
    found = rows(world, source)
    key = "image" if source == "ti_coarse" else "video"
    for one, other in itertools.product(found, found):
        scene = world.medium(other["candidate"][key]).scene
        shown = sorted((thing.colour, thing.shape) for thing in scene.things)
        fits = read_coarse(one["query"]["text"]) == shown
        assert fits == (one["candidate_id"] == other["candidate_id"])
        assert one["query_id"] == one["candidate_id"]


@pytest.mark.parametrize("source", ["ti_fine", "tv_fine", "t2i", "t2v", "i2t", "v2t", "t2ti"])
def test_fine_ids_are_equal_if_and_only_if_the_meaning_is(world: World, source: str) -> None:
    ids = defaultdict(set)
    for row in rows(world, source):
        said, shown = (row["query"], row["candidate"])
        if "text" not in said:
            said, shown = shown, said
        scene = world.medium(shown.get("image") or shown["video"]).scene
        assert read_fine(said["text"]) == scene
        assert row["query_id"] == row["candidate_id"]
        ids[scene].add(row["candidate_id"])
    assert all(len(each) == 1 for each in ids.values())
    assert len(set().union(*ids.values())) == len(ids)


def test_paraphrases_differ_in_words_alone(world: World) -> None:
    found = rows(world, "tt")
    for row in found:
        one, other = row["query"]["text"], row["candidate"]["text"]
        assert one != other
        assert read_fine(one) == read_fine(other)
    meanings = {row["candidate_id"]: read_fine(row["query"]["text"]) for row in found}
    assert len(set(meanings.values())) == len(meanings)
    assert any(scene.motions for scene in meanings.values())


def test_twins_are_two_files_of_one_meaning(world: World) -> None:
    for row in rows(world, "i2i"):
        one, other = row["query"]["image"], row["candidate"]["image"]
        assert one != other
        assert world.medium(one).scene == world.medium(other).scene


def test_pages_hold_a_caption_and_its_picture(world: World) -> None:
    for row in rows(world, "t2ti"):
        scene = world.medium(row["candidate"]["image"]).scene
        pairs = sorted((thing.colour, thing.shape) for thing in scene.things)
        assert read_coarse(row["candidate"]["text"]) == pairs
        assert row["target_modal"] == "text,image"


def test_answers_are_true_and_ids_tell_them_apart(world: World) -> None:
    said = {}
    for row in rows(world, "it2t"):
        scene = world.medium(row["query"]["image"]).scene
        thing = named(scene, row["query"]["text"])
        assert is_answer(row["candidate"]["text"], thing)
        said.setdefault(row["candidate_id"], thing)
        assert said[row["candidate_id"]] == thing
    assert len(set(said.values())) == len(said)


def test_edits_lead_to_their_candidate(world: World) -> None:
    for row in rows(world, "it2i_edit"):
        before = world.medium(row["query"]["image"])
        after = world.medium(row["candidate"]["image"])
        assert read_edit(before.scene, row["query"]["text"]) == after.scene


def test_story_edits_lead_to_their_candidate(world: World) -> None:
    for row in rows(world, "vt2v"):
        before = world.medium(row["query"]["video"])
        after = world.medium(row["candidate"]["video"])
        assert read_story_edit(before.scene, row["query"]["text"]) == after.scene


def test_crops_show_what_is_asked_for(world: World) -> None:
    for row in rows(world, "it2i_crop"):
        scene = world.medium(row["query"]["image"]).scene
        crop = world.medium(row["candidate"]["image"])
        assert crop.crop == named(scene, row["query"]["text"])
        assert crop.look == row["query"]["image"].replace("../", "")


@pytest.mark.parametrize("source", SOURCES)
def test_hard_negatives_are_the_querys_own_medium(world: World, source: str) -> None:
    composed = source in {"it2i_edit", "it2i_crop", "vt2v"}
    for row in rows(world, source):
        assert ("negative" in row) == ("negative_id" in row) == composed
        if composed:
            (reference,) = row["negative"].values()
            assert reference in row["query"].values()
            assert row["negative_id"] == world.medium(reference).content_id
            assert row["negative_id"] != row["candidate_id"]
            assert row["negative_also_id"] == world.medium(reference).coarse_id


@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_or_clip_names_both_its_meanings(world: World, source: str) -> None:
    for row in rows(world, source):
        shown = [row["candidate"].get(kind) for kind in ("image", "video")]
        if "text" in row["candidate"]:
            assert "candidate_also_id" not in row
            continue
        medium = world.medium(shown[0] or shown[1])
        assert {row["candidate_id"], row["candidate_also_id"]} == {
            medium.content_id,
            medium.coarse_id,
        }


def test_sources_have_about_the_worlds_size(world: World) -> None:
    size = sum(len(family.images) for family in world.plan.images)
    counts = {source: len(rows(world, source)) for source in SOURCES}
    assert counts["tt"] == counts["it2t"] == 2 * size
    exact = {"ti_coarse", "ti_fine", "tv_coarse", "tv_fine", "t2i", "t2v", "i2t", "v2t", "t2ti"}
    assert {counts[source] for source in exact} == {size}
    assert counts["i2i"] == counts["it2i_crop"] - 2 == 20  # 42: ten families and one of two
    assert counts["it2i_edit"] == counts["vt2v"] == size


def test_sources_do_not_depend_on_each_other(world: World) -> None:
    writer = PairWriter(world.plan.images, world.plan.clips, 3)
    assert writer.rows("vt2v") == writer.rows("vt2v") == rows(world, "vt2v")


def test_sides_and_negatives_by_hand(world: World) -> None:
    image = world.plan.images[0].images[0]
    assert side(text="x") == {"text": "x"}
    both = side(image, "x", "do:", up="")
    assert list(both) == ["text", "image", "instruction"]
    assert both["image"] == image.path
    row = against(pair(side(text="x"), both, "q", "c"), image)
    assert row["negative"] == {"image": f"../{image.path}"}
    assert row["negative_id"] == image.content_id
    assert row["target_modal"] == "text,image"
