from __future__ import annotations

import pytest

from unite.data.records import parse_pair
from unite.model.checkpoint import Model
from unite.model.preprocess import Preprocessor
from unite.training.batches import PairCollator

TEXT, IMAGE, PAGE = 1, 2, 3


@pytest.mark.parametrize(
    ("candidate", "target", "negative", "modality"),
    [
        ({"text": "represent it", "image": "a"}, "image", {"text": "too", "image": "b"}, IMAGE),
        ({"text": "represent it", "image": "a"}, "text,image", {"text": "b", "image": "b"}, PAGE),
        ({"image": "a"}, "image", {"image": "b"}, IMAGE),
        ({"image": "a"}, "image", {"text": "b"}, TEXT),
        ({"text": "represent it", "image": "a"}, "image", {"text": "b"}, TEXT),
    ],
)
def test_a_negative_like_the_candidate_is_its_rival(
    tiny_model: Model,
    candidate: dict[str, str],
    target: str,
    negative: dict[str, str],
    modality: int,
) -> None:
    row = {"query": {"text": "q"}, "candidate": candidate, "target_modal": target}
    pair = parse_pair({**row, "negative": negative})
    collator = PairCollator(Preprocessor(tiny_model.tokenizer, tiny_model.policy))
    labels = list(collator._labels(pair))
    assert labels[1][1] == int(pair.target_modality)
    assert labels[2][1] == modality


@pytest.mark.parametrize("instruction", ["Find a picture of it.", "", None])
def test_only_a_query_is_told_to_be_instructed(tiny_model: Model, instruction: str | None) -> None:
    row = {"query": {"text": "q", "instruction": instruction}, "candidate": {"text": "c"},
           "negative": {"text": "n", "instruction": "Represent it."}}  # fmt: skip
    collator = PairCollator(Preprocessor(tiny_model.tokenizer, tiny_model.policy))
    pair = parse_pair(row)
    batch = collator([collator.sides(pair, collator.preprocessor.see)])
    assert batch["instructed"].tolist() == [bool(instruction), 0, 0]
