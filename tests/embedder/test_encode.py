from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unite.embedder.encode import BatchEncoder, batches, constant_head
from unite.errors import ItemError, TooLongError
from unite.model.checkpoint import Model
from unite.model.preprocess import Features, Preprocessor
from unite.types import Item


@pytest.fixture
def preprocessor(tiny_model: Model) -> Preprocessor:
    return Preprocessor(tiny_model.tokenizer, tiny_model.policy)


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_item_once_within_the_budget(lengths: list[int], budget: int) -> None:
    found = list(batches(lengths, budget))
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or sum(lengths[number] for number in batch) <= budget
        ordered = [lengths[number] for number in batch]
        assert ordered == sorted(ordered, reverse=True)
    assert [min(batch) for batch in found] == sorted(min(batch) for batch in found)


@given(st.text(max_size=20), st.sampled_from([None, "", "1. find", "\n\nx"]))
def test_every_prompt_begins_with_the_constant_head(
    tiny_model: Model, text: str, instruction: str | None
) -> None:
    preprocessor = Preprocessor(tiny_model.tokenizer, tiny_model.policy)
    head_S = constant_head(preprocessor)
    assert len(head_S) > 3
    try:
        ids_L = preprocessor(Item(text=text, instruction=instruction)).input_ids_L
    except ItemError:  # too long, or a control token
        return
    assert np.array_equal(ids_L[: len(head_S)], head_S)


def test_another_head_is_computed_and_not_mistaken(
    tiny_model: Model, preprocessor: Preprocessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = BatchEncoder(tiny_model, preprocessor)
    batch = [preprocessor(Item(text=text)) for text in ("a red boat", "near")]
    expected = encoder(batch).outcomes
    other = [Features(part.input_ids_L[1:], ()) for part in batch]
    moved = encoder(other).outcomes
    plain = BatchEncoder(tiny_model, preprocessor)
    monkeypatch.setattr(BatchEncoder, "_prefix", None)
    for with_head, without in ((expected, plain(batch)), (moved, plain(other))):
        for one, two in zip(with_head, without.outcomes, strict=True):
            assert np.abs(np.asarray(one) - np.asarray(two)).max() < 1e-5


def test_a_batch_too_large_for_the_device_is_halved_and_one_too_large_is_a_row(
    tiny_model: Model, preprocessor: Preprocessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = BatchEncoder(tiny_model, preprocessor)
    batch = [preprocessor(Item(text=text)) for text in ("a", "a red boat", "lighthouse " * 9, "b")]
    expected = encoder(batch).outcomes
    forward, sizes = type(tiny_model.encoder).forward, []

    def small(self: Any, input_ids_BL: torch.Tensor, *rest: Any, **more: Any) -> Any:
        sizes.append(len(input_ids_BL))
        if input_ids_BL.numel() > 60:
            raise torch.OutOfMemoryError("of a pretended device")
        return forward(self, input_ids_BL, *rest, **more)

    longest = max(len(part.input_ids_L) for part in batch)
    assert sum(len(part.input_ids_L) > 60 for part in batch) == 1, longest
    monkeypatch.setattr(type(tiny_model.encoder), "forward", small)
    found = encoder(batch).outcomes
    assert sizes == [4, 2, 1, 1, 2, 1, 1] or len(sizes) > 1
    assert isinstance(found[2], TooLongError)
    assert str(longest) in str(found[2])
    for place in (0, 1, 3):
        assert np.abs(np.asarray(found[place]) - np.asarray(expected[place])).max() < 1e-5


def test_a_vector_that_is_not_finite_is_a_row_with_a_reason(
    tiny_model: Model, preprocessor: Preprocessor
) -> None:
    encoder = BatchEncoder(tiny_model, preprocessor)
    words = tiny_model.tokenizer.encode("lighthouse", add_special_tokens=False).ids
    batch = [preprocessor(Item(text=text)) for text in ("a red boat", "lighthouse")]
    weight_VD = tiny_model.encoder.state_dict()["model.embed_tokens.weight"]
    kept_VD = weight_VD.clone()
    weight_VD[words] = float("nan")  # as in a damaged file, or after an overflow
    try:
        sound, broken = encoder(batch).outcomes
    finally:
        weight_VD.copy_(kept_VD)
    assert np.isfinite(np.asarray(sound)).all()
    assert isinstance(broken, ItemError)
    assert "no finite vector" in str(broken)
