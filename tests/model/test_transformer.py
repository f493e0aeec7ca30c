"""One vector by three doors: `unite.load`, `Embedder`, and a stock SentenceTransformer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

import unite
from unite.embedder import Embedder
from unite.errors import CheckpointError, ItemError
from unite.model.checkpoint import Model, load_model, save_model
from unite.model.transformer import as_item, wrap
from unite.types import Clip, Item, Modality

RED = Image.new("RGB", (60, 44), "red")


@pytest.fixture(scope="module")
def directory(tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(tiny_model, path)
    return str(path)


@pytest.fixture(scope="module")
def loaded(directory: str) -> SentenceTransformer:
    return unite.load(directory)


@pytest.fixture(scope="module")
def mixed(media: Path) -> list[Any]:
    picture, clip = str(media / "p0.png"), str(media / "clip.mp4")
    return [
        "a red boat",
        RED,
        {"text": "<|IMAGE|> a boat", "image": picture},
        {"image": RED, "text": "in memory"},
        {"video": {"path": clip, "start": 0.5, "end": 1.5}},
        Item(videos=(Clip(clip),), text="and text"),
        picture,
        {"text": "to find", "instruction": "Represent:", "id": 3},
    ]


def encode(model: SentenceTransformer, given: list[Any], **options: Any) -> np.ndarray:
    return np.asarray(model.encode(given, show_progress_bar=False, **options))


def by_embedder(model: Model, given: list[Any]) -> np.ndarray:
    found = Embedder(model).embed([as_item(each) for each in given])
    return np.stack([part.vector for part in found])  # type: ignore[misc]


def test_three_doors_one_vector(
    directory: str, loaded: SentenceTransformer, tiny_model: Model, mixed: list[Any]
) -> None:
    expected = by_embedder(tiny_model, mixed)
    stock = SentenceTransformer(directory, trust_remote_code=True, device="cpu")
    for model in (loaded, stock, wrap(tiny_model)):
        found = encode(model, mixed)
        assert found.shape == (len(mixed), 32)
        assert np.abs(found - expected).max() < 1e-5
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(mixed)), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(
    loaded: SentenceTransformer, mixed: list[Any], batch_size: int
) -> None:
    found = encode(loaded, mixed, batch_size=batch_size)
    assert np.abs(found - encode(loaded, mixed)).max() < 1e-5


def test_one_item_gives_one_vector(loaded: SentenceTransformer, mixed: list[Any]) -> None:
    many = encode(loaded, mixed)
    for number in (0, 1, 2):
        found = encode(loaded, mixed[number])
        assert found.shape == (32,)
        assert np.abs(found - many[number]).max() < 1e-5


def test_a_string_that_names_a_file_is_text(loaded: SentenceTransformer, media: Path) -> None:
    path = str(media / "p0.png")
    found = encode(loaded, [path, {"text": path}, {"image": path}])
    assert np.abs(found[0] - found[1]).max() < 1e-5
    assert np.abs(found[0] - found[2]).max() > 1e-2


def test_a_prompt_is_an_instruction(loaded: SentenceTransformer, mixed: list[Any]) -> None:
    given = ["a red boat", RED, {"text": "a boat"}]
    found = encode(loaded, given, prompt="Represent:")
    expected = encode(loaded, [as_item(each, instruction="Represent:") for each in given])
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found - encode(loaded, given)).max() > 1e-3
    kept = encode(loaded, [mixed[-1]], prompt="Another:")
    assert np.abs(kept - encode(loaded, [mixed[-1]])).max() < 1e-5


def test_saved_by_sentence_transformers_it_is_the_same(
    loaded: SentenceTransformer, tiny_model: Model, tmp_path: Path, mixed: list[Any]
) -> None:
    loaded.save(str(tmp_path / "again"))
    again = SentenceTransformer(str(tmp_path / "again"), trust_remote_code=True, device="cpu")
    assert (encode(again, mixed) == encode(loaded, mixed)).all()
    assert load_model(str(tmp_path / "again")).id == tiny_model.id
    assert (encode(unite.load(str(tmp_path / "again")), mixed) == encode(loaded, mixed)).all()


def test_facts_sentence_transformers_asks_for(loaded: SentenceTransformer) -> None:
    assert loaded.get_embedding_dimension() == 32
    assert loaded.max_seq_length == 256
    assert loaded.similarity_fn_name == "cosine"


def test_a_broken_item_fails_the_call(loaded: SentenceTransformer, media: Path) -> None:
    with pytest.raises(ItemError, match="broken"):
        encode(loaded, ["a", {"image": str(media / "broken.png")}])
    for odd in (3, None, ("a",)):
        with pytest.raises(ItemError, match="Cannot embed a"):
            as_item(odd)


def test_models_that_are_not_whole_are_refused(directory: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        unite.load(str(tmp_path))
    with pytest.raises(CheckpointError):
        unite.load(directory, dtype="float16")


@pytest.mark.parametrize(
    ("given", "item"),
    [
        ("a", Item(text="a")),
        (RED, Item(images=(RED,))),
        ({"text": "a"}, Item(text="a")),
        ({"image": RED}, Item(images=(RED,))),
        ({"image": [RED, RED], "text": "a"}, Item(text="a", images=(RED, RED), order=(Modality.IMAGE, Modality.TEXT))),
        ({"text": "a", "image": RED, "video": "v", "idx": 2}, Item(text="a", images=(RED,), videos=(Clip("v"),), id="2")),
        ({"video": "v", "text": "a"}, Item(text="a", videos=(Clip("v"),), order=(Modality.VIDEO, Modality.TEXT))),
        ({"image": [RED, "p.png"], "text": "a"}, Item(text="a", images=(RED, "p.png"), order=(Modality.IMAGE, Modality.TEXT))),
    ],
)  # fmt: skip
def test_what_a_caller_may_hand_over(given: Any, item: Item) -> None:
    assert as_item(given) == item


def test_an_instruction_is_added_where_none_stands() -> None:
    assert as_item("a", instruction="i") == Item(text="a", instruction="i")
    assert as_item(RED, instruction="i") == Item(images=(RED,), instruction="i")
    assert as_item({"image": RED}, instruction="i") == Item(images=(RED,), instruction="i")
    assert as_item(Item(text="a"), instruction="i") == Item(text="a", instruction="i")
    assert as_item({"text": "a", "instruction": None}, instruction="i").instruction == "i"
    assert as_item(Item(text="a", instruction="own"), instruction="i").instruction == "own"
    assert as_item({"text": "a", "instruction": "own"}, instruction="i").instruction == "own"


@pytest.mark.parametrize("row", [{"imge": RED}, {"image": RED, "txt": "a"}, {"image": [RED, 3]}])
def test_objects_that_are_no_items_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ItemError):
        as_item(row)


def test_the_revision_and_the_dtype_asked_for(
    tiny_model: Model, tmp_path: Path, mixed: list[Any]
) -> None:
    home = tmp_path / "models--owner--tiny"
    (home / "refs").mkdir(parents=True)
    changed = replace(tiny_model, encoder=copy.deepcopy(tiny_model.encoder))
    with torch.no_grad():
        next(iter(changed.encoder.model.parameters())).mul_(-1)
    for name, commit, model in (("main", "a" * 40, tiny_model), ("two", "b" * 40, changed)):
        (home / "refs" / name).write_text(commit)
        (home / "snapshots").mkdir(exist_ok=True)
        save_model(model, home / "snapshots" / commit)
    options = {"trust_remote_code": True, "device": "cpu", "cache_folder": str(tmp_path)}
    options |= {"local_files_only": True}
    first = SentenceTransformer("owner/tiny", **options)
    second = SentenceTransformer("owner/tiny", revision="two", **options)
    half = SentenceTransformer("owner/tiny", model_kwargs={"dtype": torch.bfloat16}, **options)
    assert (encode(first, mixed) == encode(wrap(tiny_model), mixed)).all()
    assert (encode(second, mixed) == encode(wrap(changed), mixed)).all()
    assert np.abs(encode(second, mixed) - encode(first, mixed)).max() > 1e-2
    assert {one.dtype for one in half.parameters()} == {torch.bfloat16}
    with pytest.raises(CheckpointError, match="takes no 'attn_implementation'"):
        SentenceTransformer("owner/tiny", model_kwargs={"attn_implementation": "sdpa"}, **options)
    with pytest.raises(CheckpointError, match="takes no 'max_pixels'"):
        SentenceTransformer("owner/tiny", processor_kwargs={"max_pixels": 9}, **options)


def test_a_shorter_limit_is_an_error_not_a_cut(directory: str) -> None:
    model = unite.load(directory)
    whole = encode(model, ["a red boat"])
    for wrong in (None, 0, "60", 10**9):
        with pytest.raises(ValueError, match="is a number from 1 to"):
            model.max_seq_length = wrong
    model.max_seq_length = 60
    assert model.max_seq_length == 60
    assert (encode(model, ["a red boat"]) == whole).all()
    with pytest.raises(ItemError, match="the model takes 60"):
        encode(model, ["a red boat " * 30])
