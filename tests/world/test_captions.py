from __future__ import annotations

import pytest

from unite.world.captions import (
    INSTRUCTIONS,
    coarse,
    edit_text,
    fine,
    listed,
    page_question,
    part_text,
    question,
    reworded,
    story_edit_text,
    told,
)
from unite.world.sampling import pick_story, rng_for, sample_edit, sample_still
from unite.world.scenes import Edit, Motion, Scene, Thing, still

from .reader import (
    is_answer,
    named,
    read_coarse,
    read_edit,
    read_fine,
    read_motions,
    read_story_edit,
)

RNG = rng_for(1, "scenes")
STILLS = [sample_still(RNG, new=i % 2 == 1) for i in range(150)]
CLIPS = [pick_story(RNG, scene, scene.things[-1], new=True) for scene in STILLS]


@pytest.mark.parametrize("scenes", [STILLS, CLIPS], ids=["stills", "clips"])
def test_a_fine_caption_says_the_whole_meaning(scenes: list[Scene]) -> None:
    rng = rng_for(2, "fine")
    for scene in scenes:
        assert read_fine(fine(scene, rng)) == scene


@pytest.mark.parametrize("scenes", [STILLS, CLIPS], ids=["stills", "clips"])
def test_a_coarse_caption_says_colours_and_shapes_alone(scenes: list[Scene]) -> None:
    rng = rng_for(3, "coarse")
    for scene in scenes:
        text = coarse(scene, rng)
        assert read_coarse(text) == sorted((thing.colour, thing.shape) for thing in scene.things)
        assert not read_motions(text)
        assert not {"small", "large", "top", "left", "middle"} & set(text.split())


def test_a_story_keeps_its_order() -> None:
    rng = rng_for(4, "told")
    for clip in CLIPS:
        assert read_motions(told(clip.motions, rng)) == clip.motions


def test_an_edit_text_leads_to_the_edited_scene() -> None:
    rng = rng_for(5, "edits")
    for i, scene in enumerate(STILLS):
        edit = sample_edit(rng, scene, new=i % 2 == 1)
        assert read_edit(scene, edit_text(edit, rng)) == edit.apply(scene)


def test_an_edit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="before or after"):
        edit_text(Edit(None, None), rng_for(0, ""))


def test_a_story_edit_leads_to_the_other_clip() -> None:
    rng, orders = rng_for(6, "stories"), 0
    for clip in CLIPS:
        other = clip.reversed
        if not (other.is_possible and len(other.motions) == 2):
            assert clip.mover is not None
            other = pick_story(rng, still(clip.things), clip.mover, new=True)
        text = story_edit_text(clip, other, rng)
        orders += "other order" in text
        assert read_story_edit(clip, text) == other
    assert orders > 5


def test_words_for_a_part_point_at_that_part_alone() -> None:
    rng = rng_for(7, "parts")
    for scene in STILLS:
        for thing in scene.things:
            assert named(scene, part_text(scene, thing, rng)) == thing


def test_a_question_has_one_answer_and_the_answer_tells_all() -> None:
    rng, forms = rng_for(8, "questions"), set[str]()
    for scene in STILLS:
        for thing in scene.things:
            asked = question(scene, thing, rng)
            assert named(scene, asked.text) == asked.thing == thing
            assert is_answer(asked.answer, thing)
            forms.add(" ".join(asked.text.split()[:2]))
    assert {"where is", "what is", "how big", "what colour"} <= forms


def test_a_question_does_not_give_its_answer_away() -> None:
    rng = rng_for(9, "questions")
    for scene in STILLS:
        asked = question(scene, scene.things[0], rng)
        assert not is_answer(asked.text, scene.things[0])


def test_a_page_question_describes_the_picture() -> None:
    rng = rng_for(10, "pages")
    for scene in STILLS:
        assert read_fine(page_question(scene, rng)) == scene


def test_rewording_gives_another_text_of_the_same_meaning() -> None:
    rng = rng_for(11, "paraphrases")
    for scene in (*STILLS, *CLIPS):
        first = fine(scene, rng)
        second = reworded(lambda draw, scene=scene: fine(scene, draw), rng, first)
        assert second != first
        assert read_fine(second) == read_fine(first)


def test_captions_vary() -> None:
    rng = rng_for(12, "variety")
    assert len({fine(STILLS[0], rng) for _ in range(50)}) > 8
    assert len({fine(CLIPS[0], rng) for _ in range(50)}) > 8


def test_articles_and_lists_read_well() -> None:
    orange = still([Thing(0, "bar", "orange", "small")])
    rng = rng_for(13, "articles")
    assert all("a orange" not in coarse(orange, rng) for _ in range(20))
    assert [listed(list("xyz")[:n]) for n in (1, 2, 3)] == ["x", "x and y", "x, y and z"]
    assert told([Motion("moves", "left")], rng) in {"moves left", "goes left"}


def test_texts_are_plain_lower_case() -> None:
    rng = rng_for(14, "case")
    texts = [fine(scene, rng) for scene in (*STILLS, *CLIPS)]
    texts += [text for wordings in INSTRUCTIONS.values() for text in wordings]
    assert all(text == text.lower().strip() and "  " not in text for text in texts)


def test_every_instruction_has_several_wordings() -> None:
    assert all(len(set(wordings)) >= 2 for wordings in INSTRUCTIONS.values())
