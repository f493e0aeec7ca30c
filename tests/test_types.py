from __future__ import annotations

import contextlib
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.errors import DataError, ItemError
from unite.types import Clip, Item, Modality

ALL = [Modality(code) for code in range(1, 8)]
TEXT, IMAGE, VIDEO = Modality.TEXT, Modality.IMAGE, Modality.VIDEO


def test_codes_are_the_published_ones() -> None:
    assert (int(TEXT), int(IMAGE), int(VIDEO)) == (1, 2, 4)


@pytest.mark.parametrize("modality", ALL)
def test_labels_read_back(modality: Modality) -> None:
    assert Modality.parse(modality.label) == modality
    assert Modality.parse(modality.label.replace("+", ",")) == modality
    assert Modality.parse(f" {modality.label.upper()} ".replace("+", " , ")) == modality


@given(st.permutations(["text", "image", "video"]), st.integers(1, 3))
def test_the_order_of_the_words_is_free_and_the_label_fixed(words: list[str], count: int) -> None:
    given = words[:count]
    expected = [name for name in ("text", "image", "video") if name in given]
    assert Modality.parse(",".join(given)).label == "+".join(expected)


def test_unknown_modalities_are_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'vidoe' in 'text\+vidoe'.*Did you mean 'video'\?"):
        Modality.parse("text+vidoe")
    for text in ("", ",", "text,,image", "1"):
        with pytest.raises(DataError):
            Modality.parse(text)


@given(st.text())
def test_parsing_never_fails_in_another_way(text: str) -> None:
    with contextlib.suppress(DataError):
        assert Modality.parse(text) in ALL


PARTS = {TEXT: {"text": "t"}, IMAGE: {"images": ("i",)}, VIDEO: {"videos": (Clip("v"),)}}


@pytest.mark.parametrize("modality", ALL)
def test_the_modality_of_an_item_is_that_of_its_parts(modality: Modality) -> None:
    fields = {key: value for bit in modality for key, value in PARTS[bit].items()}
    item = Item(**fields, instruction="find it")
    assert item.modality == modality
    assert item.order == tuple(bit for bit in (TEXT, IMAGE, VIDEO) if bit in modality)
    for order in itertools.permutations(list(modality)):
        assert Item(**fields, order=order).order == order


def test_an_item_without_parts_is_refused() -> None:
    for fields in ({}, {"instruction": "find"}, {"id": "7"}):
        with pytest.raises(ItemError, match="empty"):
            Item(**fields)


def test_empty_text_is_text() -> None:
    assert Item(text="").modality is TEXT


@pytest.mark.parametrize(
    "order", [(TEXT,), (TEXT, TEXT), (TEXT, IMAGE, VIDEO), (TEXT, VIDEO), (TEXT, IMAGE, IMAGE)]
)
def test_an_order_that_does_not_name_the_parts_is_refused(order: tuple[Modality, ...]) -> None:
    with pytest.raises(ItemError, match="order"):
        Item(text="t", images=("i",), order=order)


def test_an_order_names_one_part_at_a_time() -> None:
    with pytest.raises(ItemError, match="order"):
        Item(text="t", images=("i",), order=(TEXT | IMAGE,))


def test_items_are_values() -> None:
    one, same = Item(text="t", images=("a",)), Item(text="t", images=("a",))
    assert one == same
    assert len({one, same, Item(text="t")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.text = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": 1}, "The text is a string, not int"),
        ({"images": "a.png"}, r"tuple of paths.*not str.*images=\(…,\)"),
        ({"images": ["a.png"]}, "not list"),
        ({"images": (Path("a.png"),)}, "not PosixPath"),
        ({"videos": Clip("v")}, "tuple of Clips, not Clip"),
        ({"videos": ("v.mp4",)}, "'videos' holds Clips, not str"),
        ({"videos": (Clip("v"), b"")}, "not bytes"),
    ],
)
def test_parts_of_a_wrong_type_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ItemError, match=words):
        Item(**fields)
