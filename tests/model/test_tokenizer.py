from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from unite.errors import CheckpointError
from unite.model.checkpoint import Model
from unite.model.tokenizer import (
    CONTROL,
    END,
    load_tokenizer,
    save_tokenizer,
    token_id,
    train_tokenizer,
)

ODD = [
    "", " ", "\n\n", "a  b", "don't", "½ ∑ π ≈ 3.14159 🚢🌊", "黎明时分,两只红色的小船", "x\x00y", "{text}", "\u202e",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_tokenizer(["a red boat near the lighthouse", "two red boats"] * 3, 280)


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    import unicodedata

    tokenizer = Tokenizer.from_str(_TRAINED)
    decoded = tokenizer.decode(ids(tokenizer, text), skip_special_tokens=False)
    assert decoded == unicodedata.normalize("NFC", text)


_TRAINED = train_tokenizer(["a red boat"], 260).to_str()


def test_control_tokens_are_single_and_stand_after_the_merges(trained: Tokenizer) -> None:
    numbers = [token_id(trained, token) for token in CONTROL]
    assert sorted(numbers) == list(
        range(trained.get_vocab_size() - len(CONTROL), trained.get_vocab_size())
    )
    for token, number in zip(CONTROL, numbers, strict=True):
        assert ids(trained, token) == [number]
        assert ids(trained, f"a{token}b") == [*ids(trained, "a"), number, *ids(trained, "b")]


def test_all_bytes_are_in_the_vocabulary(trained: Tokenizer) -> None:
    assert trained.get_vocab_size() >= 256 + len(CONTROL)
    assert all(ids(trained, chr(code)) for code in range(1, 0x3000, 7))


def test_equal_texts_train_equal_tokenizers() -> None:
    texts = ["a red boat near the lighthouse", "two red boats"]
    assert train_tokenizer(texts, 270).to_str() == train_tokenizer(texts, 270).to_str()


def test_a_saved_tokenizer_is_the_same(trained: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(trained, tmp_path)
    again = load_tokenizer(tmp_path)
    for text in (*ODD, "a red boat"):
        assert ids(again, text) == ids(trained, text)


@pytest.mark.parametrize("kind", ["AutoTokenizer", "Qwen2Tokenizer"])
def test_transformers_reads_the_same_ids(tiny_model: Model, tmp_path: Path, kind: str) -> None:
    import transformers

    save_tokenizer(tiny_model.tokenizer, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tiny_model.encoder.config.to_json()))
    theirs = getattr(transformers, kind).from_pretrained(tmp_path)
    for text in (*ODD, "a red boat near", f"a{END}b<|im_start|>"):
        found = theirs(text, add_special_tokens=False)["input_ids"]
        assert found == ids(tiny_model.tokenizer, text), text


def test_the_published_tokens(golden: Path, golden_cases: dict[str, dict[str, object]]) -> None:
    tokenizer = load_tokenizer(golden / "checkpoint")
    for name, case in golden_cases.items():
        runs: list[list[int]] = case["input_ids_rle"]  # type: ignore[assignment]
        visual = {token_id(tokenizer, pad) for pad in ("<|image_pad|>", "<|video_pad|>")}
        expected = [n for n, count in runs for _ in range(1 if n in visual else count)]
        assert ids(tokenizer, str(case["prompt"])) == expected, name


def test_settings_in_the_file_cut_and_pad_nothing(trained: Tokenizer, tmp_path: Path) -> None:
    short = Tokenizer.from_str(trained.to_str())
    short.enable_truncation(3)
    short.enable_padding(length=64)
    short.save(str(tmp_path / "tokenizer.json"))
    text = "a red boat near the lighthouse"
    assert ids(load_tokenizer(tmp_path), text) == ids(trained, text)


def test_tokenizers_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    from tokenizers import models

    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"lacks '<\|endoftext\|>'"):
        load_tokenizer(tmp_path)


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
