"""Checkpoints from file to file: what transformers, sentence-transformers and we read from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tests.model.test_later_qwen import LATER, tiny

from unite.embedder import Embedder
from unite.errors import CheckpointError
from unite.model.checkpoint import load_model, save_model
from unite.model.convert import convert
from unite.types import Item

ITEMS = [Item(text="a red boat"), Item(text="two boats near the lighthouse")]


def vectors(name: Path | str) -> np.ndarray:
    model = load_model(str(name), dtype="float32")
    return np.stack([part.vector for part in Embedder(model).embed(ITEMS)])  # type: ignore[misc]


@pytest.fixture
def published(golden: Path) -> Path:
    return golden / "checkpoint"


@pytest.fixture
def untied(published: Path, tmp_path: Path) -> Path:
    """The published checkpoint with an lm_head of its own, in two shards."""
    copy = Path(shutil.copytree(published, tmp_path / "untied"))
    row = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**row, "tie_word_embeddings": False}))
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    head = {"lm_head.weight": torch.randn(492, 64, generator=torch.Generator().manual_seed(1))}
    save_file(tensors, copy / "a.safetensors")
    save_file(head, copy / "b.safetensors")
    where = dict.fromkeys(tensors, "a.safetensors") | dict.fromkeys(head, "b.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return copy


@pytest.mark.filterwarnings("ignore::Warning")  # of transformers' own loading
def test_transformers_opens_it_as_the_generating_model(untied: Path, tmp_path: Path) -> None:
    from transformers import Qwen2VLForConditionalGeneration

    assert convert(str(untied), tmp_path / "out") == []
    loaded, facts = Qwen2VLForConditionalGeneration.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not facts["missing_keys"]
    assert not facts["unexpected_keys"]
    ours = load_model(str(untied), dtype="float32").encoder
    assert isinstance(loaded, Qwen2VLForConditionalGeneration)
    theirs = loaded.model.language_model.state_dict()
    assert all(torch.equal(part, theirs[name]) for name, part in ours.model.state_dict().items())
    head = load_file(untied / "b.safetensors")["lm_head.weight"]
    assert torch.equal(loaded.lm_head.weight, head)


def test_we_read_the_same_vectors_from_it(untied: Path, published: Path, tmp_path: Path) -> None:
    convert(str(untied), tmp_path / "out")
    assert (vectors(tmp_path / "out") == vectors(published)).all()
    assert load_model(str(tmp_path / "out")).policy == load_model(str(published)).policy


def test_sentence_transformers_opens_it(published: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    convert(str(published), tmp_path / "out")
    stock = SentenceTransformer(str(tmp_path / "out"), trust_remote_code=True)
    found = stock.encode([item.text for item in ITEMS])
    assert np.abs(found - vectors(published)).max() < 1e-6


def test_an_lm_head_is_never_invented(untied: Path, tmp_path: Path) -> None:
    save_model(load_model(str(untied), dtype="float32"), tmp_path / "ours")
    (note,) = convert(str(tmp_path / "ours"), tmp_path / "out")
    assert "no lm_head" in note
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("kind", LATER)
def test_later_backbones_are_laid_out_for_transformers(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    model = tiny(kind)
    save_model(model, tmp_path / "ours")
    convert(str(tmp_path / "ours"), tmp_path / "out")
    _, facts = AutoModelForImageTextToText.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert set(facts["missing_keys"]) <= {"lm_head.weight"}
    assert not facts["unexpected_keys"]
    again = load_model(str(tmp_path / "out"))
    assert again.id == load_model(str(tmp_path / "ours")).id


@pytest.fixture
def adapter(published: Path, tmp_path: Path) -> Path:
    encoder = load_model(str(published), dtype="float32").encoder
    config = LoraConfig(r=2, target_modules=["q_proj", "down_proj"])
    wrapped: Any = get_peft_model(encoder, config)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, part in wrapped.named_parameters():
            if "lora_" in name:
                part.normal_(0.0, 0.2, generator=generator)
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    row = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    row["base_model_name_or_path"] = str(published)
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(row))
    return tmp_path / "adapter"


def test_a_merged_directory_equals_the_adapter_over_its_base(
    published: Path, adapter: Path, tmp_path: Path
) -> None:
    convert(str(published), tmp_path / "merged", adapter=adapter)
    merged = vectors(tmp_path / "merged")
    assert (merged == vectors(adapter)).all()
    assert np.abs(merged - vectors(published)).max() > 1e-3


def test_an_adapter_by_itself_is_merged_with_the_base_it_names(
    published: Path, adapter: Path, tmp_path: Path
) -> None:
    convert(str(adapter), tmp_path / "merged")
    assert (vectors(tmp_path / "merged") == vectors(adapter)).all()
    with pytest.raises(CheckpointError, match="an adapter itself"):
        convert(str(adapter), tmp_path / "twice", adapter=adapter)


def test_a_base_in_bf16_is_merged_in_fp32(published: Path, adapter: Path, tmp_path: Path) -> None:
    convert(str(published), tmp_path / "half", dtype="bfloat16")
    convert(str(tmp_path / "half"), tmp_path / "whole", dtype="float32")
    names = ("half", "whole")
    for name in names:
        convert(str(tmp_path / name), tmp_path / f"{name}-on", adapter=adapter, dtype="float32")
    one, other = (load_file(tmp_path / f"{name}-on" / "model.safetensors") for name in names)
    assert all(torch.equal(part, other[key]) for key, part in one.items())


def test_an_adapter_of_another_model_leaves_nothing(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Use the model that it was trained on"):
        convert("mini", tmp_path / "merged", adapter=adapter)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_stored_in_another_dtype(published: Path, tmp_path: Path) -> None:
    convert(str(published), tmp_path / "half", dtype="bfloat16")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {part.dtype for part in stored.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert load_model(str(tmp_path / "half")).id == load_model(str(published)).id


def test_the_dtype_is_said_once(published: Path, tmp_path: Path) -> None:
    named = Path(shutil.copytree(published, tmp_path / "named"))
    row = json.loads((named / "config.json").read_text())
    row |= {"dtype": "bfloat16", "vision_config": {**row["vision_config"], "dtype": "bfloat16"}}
    (named / "config.json").write_text(json.dumps(row))
    convert(str(named), tmp_path / "out", dtype="float32")
    found = json.loads((tmp_path / "out" / "config.json").read_text())
    assert found["torch_dtype"] == "float32"
    assert "dtype" not in found
    assert "dtype" not in found["vision_config"]


def test_an_adapter_that_names_no_base_is_not_taken_for_the_folder_one_is_in(
    published: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**row, "base_model_name_or_path": ""}))
    monkeypatch.chdir(published)
    with pytest.raises(CheckpointError, match="unite model merge MODEL"):
        load_model(str(adapter))


def test_an_unknown_dtype_is_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"float16.*float32 or bfloat16"):
        convert(str(published), tmp_path / "out", dtype="float16")


def test_an_incomplete_model_is_refused(untied: Path, tmp_path: Path) -> None:
    tensors = load_file(untied / "a.safetensors")
    save_file(
        {name: part for name, part in tensors.items() if "norm" not in name},
        untied / "a.safetensors",
    )
    with pytest.raises(CheckpointError, match="missing"):
        convert(str(untied), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_never_onto_itself(untied: Path) -> None:
    before = sorted(path.name for path in untied.iterdir())
    with pytest.raises(CheckpointError, match="the model itself"):
        convert(str(untied), untied)
    assert sorted(path.name for path in untied.iterdir()) == before


def test_what_it_reads_is_never_replaced(untied: Path, published: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    convert(str(published), outer)
    inner = Path(shutil.copytree(untied, outer / "inner"))
    with pytest.raises(CheckpointError, match="What is read lies within"):
        convert(str(inner), outer)
    assert (inner / "config.json").is_file()


def test_what_is_no_model_is_never_replaced(published: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "p0.jpg").write_bytes(b"dear")
    listed = tmp_path / "list.jsonl"
    listed.write_text("{}")
    for target in (photos, listed):
        with pytest.raises(CheckpointError, match="is no model of ours"):
            convert(str(published), target)
    assert (photos / "p0.jpg").read_bytes() == b"dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.jsonl", "photos"]
    assert listed.read_text() == "{}"


def test_an_empty_folder_and_an_older_model_are(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    monkeypatch.chdir(target)
    convert(str(published), Path())  # `.` has no name
    (target / "stale.txt").write_text("of an older one")
    convert(str(published), target, dtype="bfloat16")
    assert not (target / "stale.txt").exists()
    assert (target / "config.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
