from __future__ import annotations

import pytest

from unite.library.intent import named
from unite.types import Item


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("find the clip where a dog runs", "video"),
        ("Show me all videos with cats", "video"),
        ("film about bees", "video"),
        ("a picture of a cat", "image"),
        ("I'm looking for an old photo of my house", "image"),
        ("Photos from 2019", "image"),
        ("  find\n the changed image: ", "image"),
        ("images", "image"),
        ("find the caption of this picture:", "text"),
        ("notes about the garden", "text"),
        ("find the words for this image:", "text"),
        ("answer the question about this picture:", "text"),
    ],
)
def test_what_is_looked_for_is_named(words: str, label: str) -> None:
    found = named(Item(text=words))
    assert found is not None
    assert found.label == label


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a red bicycle in the snow",
        "video games on a table",
        "a man taking a photo of a dog",
        "photo album on the shelf",
        "note to self",
        "movie night",
        "find the part of the picture:",
        "clipping toenails",
        "photographer",
        "words",
    ],
)
def test_what_is_only_spoken_of_is_not(words: str) -> None:
    assert named(Item(text=words)) is None


def test_an_instruction_goes_before_the_words() -> None:
    item = Item(text="a picture of a cat", instruction="find the video that shows this:")
    found = named(item)
    assert found is not None
    assert found.label == "video"
    assert named(Item(images=("x.png",))) is None
