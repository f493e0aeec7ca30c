from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.data.records import parse_item
from unite.errors import PromptError
from unite.prompts import IMAGE_PLACEHOLDER, VIDEO_PLACEHOLDER, render
from unite.types import Clip, Item, Modality

TEXT, IMAGE, VIDEO = Modality.TEXT, Modality.IMAGE, Modality.VIDEO
IMAGE_TAG = "<|vision_start|><|image_pad|><|vision_end|>"
VIDEO_TAG = "<|vision_start|><|video_pad|><|vision_end|>"
HEAD = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
TAIL = " in one word:<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
WORD = {TEXT: "sentence", IMAGE: "image", VIDEO: "video"}

plain = st.text(st.characters(exclude_characters="<|>", exclude_categories=["Cs"]), max_size=12)
written = st.lists(
    st.one_of(plain, st.sampled_from([IMAGE_PLACEHOLDER, VIDEO_PLACEHOLDER, "{text}", "<|", "|>"])),
    max_size=5,
).map("".join)


@st.composite
def items(draw: st.DrawFn, text: st.SearchStrategy[str] = written) -> Item:
    parts = draw(st.sets(st.sampled_from([TEXT, IMAGE, VIDEO]), min_size=1))
    return Item(
        text=draw(text) if TEXT in parts else None,
        images=("i.png",) * (draw(st.integers(1, 3)) if IMAGE in parts else 0),
        videos=(Clip("v.mp4"),) * (draw(st.integers(1, 2)) if VIDEO in parts else 0),
        instruction=draw(st.none() | text),
        order=tuple(draw(st.permutations(sorted(parts)))),
    )


def words(item: Item) -> str:
    """All that the item says, instruction first."""
    return "\n".join(part for part in (item.instruction, item.text) if part is not None)


def body(prompt: str) -> str:
    """What stands between the system's turn and the question."""
    assert prompt.startswith(HEAD)
    assert prompt.endswith(TAIL)
    return prompt.removeprefix(HEAD).rpartition("\nSummary above ")[0]


def test_all_published_prompts(golden_cases: dict[str, dict[str, Any]]) -> None:
    assert len(golden_cases) == 29
    for name, case in golden_cases.items():
        assert render(parse_item(case["item"])).text == case["prompt"], name


@given(items())
def test_placeholders_are_one_for_each_medium_or_none(item: Item) -> None:
    counts = (
        (words(item).count(IMAGE_PLACEHOLDER), len(item.images)),
        (words(item).count(VIDEO_PLACEHOLDER), len(item.videos)),
    )
    if any(found not in (0, given) for found, given in counts):
        with pytest.raises(PromptError, match="Give one placeholder for each"):
            render(item)
        return
    prompt = render(item)
    assert prompt.slots.count(IMAGE) == len(item.images) == prompt.text.count(IMAGE_TAG)
    assert prompt.slots.count(VIDEO) == len(item.videos) == prompt.text.count(VIDEO_TAG)
    assert IMAGE_PLACEHOLDER not in prompt.text
    assert VIDEO_PLACEHOLDER not in prompt.text
    pads = re.findall(r"<\|(image|video)_pad\|>", prompt.text)
    assert [slot.label for slot in prompt.slots] == pads


@given(items(plain))
def test_without_placeholders_media_stand_before_all_text_in_their_order(item: Item) -> None:
    written = body(render(item).text)
    tags = {IMAGE: [IMAGE_TAG] * len(item.images), VIDEO: [VIDEO_TAG] * len(item.videos)}
    lead = "".join(f"{tag}\n" for part in item.order for tag in tags.get(part, []))
    parts = [part.strip() for part in (item.instruction, item.text) if part is not None]
    assert written == (lead + "\n".join(part for part in parts if part)).strip()


@given(items(plain))
def test_the_question_names_the_parts_in_order(item: Item) -> None:
    named = render(item).text.rpartition("\nSummary above ")[2].removesuffix(TAIL).split(" and ")
    expected = [WORD[part] for part in item.order]
    if item.instruction and item.text is None:
        expected = ["sentence", *expected]
    assert named == expected


@given(plain, st.sampled_from(["{}", "{text}", "%s", "\\n", "$1", "\\1", "½ ∑ 日本 🚢 e\u0301"]))
def test_text_is_kept_as_it_is_written(text: str, odd: str) -> None:
    given = f"x{text}{odd}{text}x"
    assert body(render(Item(text=given)).text) == given
    assert body(render(Item(text=f" \n{given}\t ")).text) == given


def test_an_instruction_stands_before_the_text() -> None:
    prompt = render(Item(text=" a cat ", images=("i",), instruction=" Find it: ")).text
    assert body(prompt) == f"{IMAGE_TAG}\nFind it:\na cat"
    assert "Summary above sentence and image in" in prompt


def test_an_instruction_alone_counts_as_a_sentence() -> None:
    prompt = render(Item(images=("i",), instruction="Find it:")).text
    assert body(prompt) == f"{IMAGE_TAG}\nFind it:"
    assert "Summary above sentence and image in" in prompt


def test_a_blank_instruction_is_none() -> None:
    assert render(Item(images=("i",), instruction="  ")) == render(Item(images=("i",)))


def test_a_placeholder_may_stand_in_the_instruction() -> None:
    prompt = render(Item(text="a cat", images=("i",), instruction="In <|IMAGE|> find")).text
    assert body(prompt) == f"In {IMAGE_TAG} find\na cat"


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({"text": "see <|IMAGE|>"}, "1 <|IMAGE|> but the item has 0 image"),
        ({"text": "see <|VIDEO|>", "images": ("i",)}, "1 <|VIDEO|> but the item has 0 video"),
        ({"text": "<|IMAGE|>", "images": ("i", "j")}, "1 <|IMAGE|> but the item has 2 image"),
        ({"text": "<|VIDEO|><|VIDEO|>", "videos": (Clip("v"),)}, "2 <|VIDEO|> but the item has 1"),
    ],
)
def test_placeholders_that_do_not_fit_are_refused_with_both_numbers(
    fields: dict[str, Any], numbers: str
) -> None:
    with pytest.raises(PromptError, match=re.escape(numbers)):
        render(Item(**fields))


def test_one_kind_may_be_placed_and_the_other_not() -> None:
    item = Item(text="after <|VIDEO|> came", images=("i",), videos=(Clip("v"),))
    prompt = render(item)
    assert body(prompt.text) == f"{IMAGE_TAG}\nafter {VIDEO_TAG} came"
    assert prompt.slots == (IMAGE, VIDEO)


@pytest.fixture(scope="module")
def control_tokens(golden: Path) -> list[str]:
    return list(json.loads((golden / "checkpoint" / "added_tokens.json").read_text()))


def test_control_tokens_are_refused_wherever_they_stand(control_tokens: list[str]) -> None:
    assert len(control_tokens) >= 14
    for token in control_tokens:
        for item in (
            Item(text=f"a{token}b"),
            Item(text="a", instruction=token),
            Item(images=("i",), instruction=f"{token} find"),
        ):
            with pytest.raises(PromptError, match=re.escape(token)):
                render(item)


def test_what_only_looks_like_a_control_token_is_text() -> None:
    for text in ("<|image|>", "<|IM_START|>", "im_end", "<|im_end>", "<| im_end |>"):
        assert body(render(Item(text=text)).text) == text
