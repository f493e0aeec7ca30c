from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.disk import limited
from torch import Tensor

from unite.embedder import Embedder
from unite.errors import CheckpointError
from unite.model.checkpoint import (
    ALIASES,
    Model,
    load_model,
    locate,
    save_model,
    write_model_files,
)
from unite.model.files import replace_directory
from unite.types import Item

ITEMS = [Item(text="a red boat"), Item(text="two boats near the lighthouse")]
Tensors = dict[str, Tensor]


def vectors(model: Model) -> np.ndarray:
    return np.stack([part.vector for part in Embedder(model).embed(ITEMS)])  # type: ignore[misc]


@pytest.fixture(scope="module")
def published(golden: Path) -> Model:
    return load_model(str(golden / "checkpoint"))


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    """The published checkpoint, to be altered."""
    return Path(shutil.copytree(golden / "checkpoint", tmp_path / "copy"))


def rewrite(directory: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = directory / "model.safetensors"
    save_file(change(load_file(path)), path)


# Naming


def test_the_names_of_transformers_5_load(copy: Path, published: Model) -> None:
    def longer(tensors: Tensors) -> Tensors:
        return {
            f"model.{name}" if name.startswith("visual.") else name.replace("model.", "model.language_model.", 1): tensor
            for name, tensor in tensors.items()
        }  # fmt: skip

    rewrite(copy, longer)
    assert {name.split(".")[1] for name in load_file(copy / "model.safetensors")} == {
        "visual",
        "language_model",
    }
    model = load_model(str(copy))
    assert model.id == published.id
    assert (vectors(model) == vectors(published)).all()


@pytest.mark.parametrize("kind", ["Qwen2VLForConditionalGeneration", "Qwen2VLModel"])
def test_what_transformers_itself_saves_loads(
    golden: Path, published: Model, tmp_path: Path, kind: str
) -> None:
    import transformers

    row = json.loads((golden / "config_variants" / "qwen2_vl.json").read_text())
    theirs = getattr(transformers, kind)(transformers.Qwen2VLConfig(**row))
    inner = theirs if kind == "Qwen2VLModel" else theirs.model
    inner.visual.load_state_dict(published.encoder.visual.state_dict())
    inner.language_model.load_state_dict(published.encoder.model.state_dict())
    theirs.save_pretrained(tmp_path)
    shutil.copy(golden / "checkpoint" / "tokenizer.json", tmp_path)
    model = load_model(str(tmp_path))
    assert replace(model, policy=published.policy).id == published.id
    assert (vectors(model) == vectors(published)).all()


def test_the_lm_head_is_ignored(copy: Path, published: Model) -> None:
    rewrite(copy, lambda tensors: {**tensors, "lm_head.weight": torch.ones(492, 64)})
    assert load_model(str(copy)).id == published.id


def test_a_sharded_checkpoint_loads(copy: Path, published: Model) -> None:
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, copy / file)
    where = {name: file for file, part in shards.items() for name in part}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert load_model(str(copy)).id == published.id

    (copy / "two.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"two\.safetensors"):
        load_model(str(copy))


def test_config_variants_load_the_same_model(copy: Path, golden: Path, published: Model) -> None:
    for variant in (golden / "config_variants").glob("*.json"):
        shutil.copy(variant, copy / "config.json")
        assert load_model(str(copy)).id == published.id


# Refused


def test_a_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    row = json.loads((copy / "config.json").read_text())
    row["image_token_id"], row["video_token_id"] = row["video_token_id"], row["image_token_id"]
    (copy / "config.json").write_text(json.dumps(row))
    with pytest.raises(CheckpointError, match=r"<\|image_pad\|> is token \d+ .* do not belong"):
        load_model(str(copy))


def test_a_missing_tensor_is_named(copy: Path) -> None:
    rewrite(copy, lambda tensors: {k: v for k, v in tensors.items() if k != "model.norm.weight"})
    with pytest.raises(CheckpointError, match=r"1 missing \(model\.norm\.weight\)"):
        load_model(str(copy))


def test_an_unexpected_tensor_is_named(copy: Path) -> None:
    rewrite(copy, lambda tensors: {**tensors, "model.layers.9.extra": torch.ones(2)})
    with pytest.raises(CheckpointError, match=r"1 unexpected \(model\.layers\.9\.extra\)"):
        load_model(str(copy))


def test_a_tensor_of_another_shape_is_named_with_both(copy: Path) -> None:
    rewrite(copy, lambda tensors: {**tensors, "model.norm.weight": torch.ones(7)})
    with pytest.raises(
        CheckpointError, match=r"1 of another shape \(model\.norm\.weight \(7,\) instead of \(64,\)"
    ):
        load_model(str(copy))


def test_of_many_faults_the_first_are_named(copy: Path) -> None:
    rewrite(copy, lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()})
    with pytest.raises(
        CheckpointError, match=r"missing \(.*, …\); .* unexpected \(module\..*, …\)"
    ):
        load_model(str(copy))


def test_a_checkpoint_of_pickles_is_refused(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors.*Only safetensors are read"):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"\x00" * 4),
        ("model.safetensors", b"\xff" * 400),
        ("config.json", b"{"),
        ("unite.json", b"{"),
        ("model.safetensors.index.json", b"[]"),
        ("model.safetensors.index.json", b"{}"),
        ("config.json", b"\xff"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named(
    copy: Path, file: str, content: bytes
) -> None:
    (copy / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=file):
        load_model(str(copy))


def test_a_config_that_is_a_list_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text("[]")
    with pytest.raises(CheckpointError):
        load_model(str(copy))


def test_a_directory_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        load_model(str(tmp_path))


def test_a_cut_file_is_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(str(copy))


@pytest.mark.parametrize("name", ["nowhere", "./a/b", "/a/b", "a/b/c"])
def test_names_that_are_no_model(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"There is no model .*base-2b"):
        locate(name)


def test_aliases_name_hub_models() -> None:
    assert set(ALIASES) == {"base-2b", "base-7b", "instruct-2b", "instruct-7b"}
    assert all(hub.startswith("friedrichor/Unite-") for hub in ALIASES.values())


def test_dtypes(golden: Path, published: Model) -> None:
    directory = str(golden / "checkpoint")
    weight = load_model(directory, dtype="bfloat16").encoder.model.norm.weight
    assert weight.dtype == torch.bfloat16
    assert published.encoder.model.norm.weight.dtype == torch.float32
    with pytest.raises(CheckpointError, match="'float16' is unknown"):
        load_model(directory, dtype="float16")


# Saving


def test_a_saved_model_is_the_same_to_the_bit(published: Model, tmp_path: Path) -> None:
    save_model(published, tmp_path / "deep" / "model")
    again = load_model(str(tmp_path / "deep" / "model"))
    assert again.id == published.id
    assert again.policy == published.policy
    assert again.encoder.config == published.encoder.config
    assert (vectors(again) == vectors(published)).all()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


def test_a_model_made_here_is_the_same_after_saving(tiny_model: Model, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path / "m")
    again = load_model(str(tmp_path / "m"))
    assert again.id == tiny_model.id
    assert (vectors(again) == vectors(tiny_model)).all()


def test_saving_replaces_the_model_that_is_there(
    published: Model, tiny_model: Model, tmp_path: Path
) -> None:
    save_model(published, tmp_path / "m")
    (tmp_path / "m" / "left-over.txt").write_text("old")
    save_model(tiny_model, tmp_path / "m")
    assert load_model(str(tmp_path / "m")).id == tiny_model.id
    assert not (tmp_path / "m" / "left-over.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_save_that_was_killed_leaves_the_old_model(
    published: Model, tiny_model: Model, tmp_path: Path
) -> None:
    save_model(published, tmp_path / "m")
    partial = tmp_path / ".m.partial"
    partial.mkdir()
    write_model_files(tiny_model, partial)
    (partial / "model.safetensors").write_bytes(b"half")
    assert load_model(str(tmp_path / "m")).id == published.id
    save_model(tiny_model, tmp_path / "m")  # and the next one is not in its way
    assert load_model(str(tmp_path / "m")).id == tiny_model.id
    assert not partial.exists()


def test_a_full_disk_is_told_and_leaves_the_old_model(
    published: Model, tiny_model: Model, tmp_path: Path
) -> None:
    save_model(published, tmp_path / "m")
    with limited(10_000), pytest.raises(CheckpointError, match=r"cannot be written.*Make room"):
        save_model(tiny_model, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert load_model(str(tmp_path / "m")).id == published.id


def test_a_replacement_killed_in_the_middle_can_be_done_again(tmp_path: Path) -> None:
    for name in ("new", ".old.old"):  # the old one already moved away, the new not yet in
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "mark").touch()
    replace_directory(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old" / "mark").exists()


def test_a_replacement_that_fails_puts_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "mark").touch()
    real = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"):
        replace_directory(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "mark").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}


def test_a_model_stored_in_bf16_has_the_same_id(tiny_model: Model, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path / "half", dtype="bfloat16")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    for dtype in ("float32", "bfloat16"):
        assert load_model(str(tmp_path / "half"), dtype=dtype).id == tiny_model.id


# The id


def test_the_id_does_not_know_name_place_or_dtype(golden: Path, published: Model) -> None:
    renamed = replace(published, name="other", directory=None)
    assert renamed.id == published.id
    assert load_model(str(golden / "checkpoint"), dtype="bfloat16").id == published.id


def test_the_id_changes_with_all_that_shapes_a_vector(golden: Path, published: Model) -> None:
    policy = published.policy
    others = [
        replace(published, policy=policy.with_frames(nframes=16)),
        replace(published, policy=policy.with_frames(fps=2.0)),
        replace(published, policy=replace(policy, max_tokens=77)),
        replace(published, policy=replace(policy, pixels=replace(policy.pixels, max_pixels=10**6))),
    ]
    for name in ("model.norm.weight", "visual.blocks.0.attn.qkv.bias"):
        other = load_model(str(golden / "checkpoint"))
        other.encoder.state_dict()[name][0] += 0.5
        others.append(other)
    assert len({model.id for model in (published, *others)}) == len(others) + 1


def test_asking_for_the_frames_that_stand_changes_no_id(tiny_model: Model) -> None:
    assert replace(tiny_model, policy=tiny_model.policy.with_frames()).id == tiny_model.id


def test_the_folder_of_a_run_is_told_where_its_model_lies(
    tiny_model: Model, tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path / "run" / "model")
    with pytest.raises(CheckpointError, match=r"is a training run; its model is .*run/model\."):
        load_model(str(tmp_path / "run"))
    with pytest.raises(CheckpointError, match=r"holds config\.json"):
        load_model(str(tmp_path))
