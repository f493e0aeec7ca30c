"""Adapters in peft's format: added to the weights as peft itself would apply them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from unite.embedder import Embedder
from unite.errors import CheckpointError
from unite.model.adapters import Adapter, add_adapters, is_adapter, read_adapter
from unite.model.checkpoint import Model, load_model
from unite.types import Item

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def items(media: Path) -> list[Item]:
    return [
        Item(text="a boat"),
        Item(images=(str(media / "p0.png"),)),
        Item(text="near", images=(str(media / "p1.png"),)),
    ]


def vectors(model: Model, items: list[Item]) -> np.ndarray:
    return np.stack([part.vector for part in Embedder(model).embed(items)])  # type: ignore[misc]


def shake(network: torch.nn.Module) -> None:
    """Give the matrices that start as zeros a value."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, part in network.named_parameters():
            if "lora_" in name:
                part.normal_(0.0, 0.2, generator=generator)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "rank-stabilised"])
def trained(
    request: pytest.FixtureRequest,
    golden: Path,
    items: list[Item],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, np.ndarray]:
    """An adapter that peft saved, and the vectors of the model with it switched on."""
    model = load_model(str(golden / "checkpoint"), dtype="float32")
    config = LoraConfig(
        r=4,
        lora_alpha=16,
        target_modules=TARGETS,
        use_rslora=request.param,
    )
    wrapped = get_peft_model(model.encoder, config).eval()  # type: ignore[arg-type]
    shake(wrapped)
    directory = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(str(directory))
    path = directory / "adapter_config.json"
    row = {**json.loads(path.read_text()), "base_model_name_or_path": str(golden / "checkpoint")}
    path.write_text(json.dumps(row))
    return directory, vectors(model, items)


def test_merged_and_switched_on_agree(
    trained: tuple[Path, np.ndarray], golden: Path, items: list[Item]
) -> None:
    directory, on = trained
    off = vectors(load_model(str(golden / "checkpoint"), dtype="float32"), items)
    assert np.abs(on - off).max() > 1e-2
    merged = load_model(str(directory), dtype="float32")
    assert np.abs(vectors(merged, items) - on).max() < 1e-5
    assert merged.id != load_model(str(golden / "checkpoint")).id


@pytest.mark.parametrize(
    "longer",
    [
        lambda name: name,
        lambda name: name.replace("base_model.model.", "base_model.model.", 1).replace(
            "model.layers", "model.language_model.layers"
        ),
        lambda name: name.removeprefix("base_model.model."),
        lambda name: name.replace(".weight", ".default.weight"),
    ],
    ids=["transformers 4", "transformers 5", "without peft's prefix", "with the adapter's name"],
)
def test_names_of_all_layouts_are_read(
    trained: tuple[Path, np.ndarray], tmp_path: Path, longer: Callable[[str], str]
) -> None:
    copy = altered(trained[0], tmp_path, tensors=lambda row: {longer(n): t for n, t in row.items()})
    plain, found = read_adapter(trained[0]), read_adapter(copy)
    assert set(found.pairs) == set(plain.pairs)
    assert len(found.pairs) == 3 * len(TARGETS)
    assert all(name.startswith("model.layers.") for name in found.pairs)


def altered(
    source: Path,
    target: Path,
    *,
    tensors: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda row: row,
    config: dict[str, Any] | None = None,
) -> Path:
    copy = Path(shutil.copytree(source, target / "copy"))
    path = copy / "adapter_model.safetensors"
    save_file(tensors(load_file(path)), path)
    row = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps({**row, **(config or {})}))
    return copy


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"peft_type": "IA3"}, "peft_type = 'IA3'"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"modules_to_save": ["embed_tokens"]}, "modules_to_save"),
        ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights = 'pissa_niter_4'"),
        ({"init_lora_weights": "corda"}, "init_lora_weights"),
    ],
)
def test_more_than_a_product_is_refused(
    trained: tuple[Path, np.ndarray], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    copy = altered(trained[0], tmp_path, config=change)
    with pytest.raises(CheckpointError, match=words):
        load_model(str(copy))


@pytest.mark.parametrize(
    "start", [True, False, "gaussian", "orthogonal", "mica", "pissa", "pissa_niter_4", "olora"]
)
def test_an_adapter_is_read_if_its_start_left_the_base_alone(
    trained: tuple[Path, np.ndarray], tmp_path: Path, start: Any
) -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(6, 8, bias=False))
    before = layer[0].weight.detach().clone()
    get_peft_model(layer, LoraConfig(r=2, target_modules=["0"], init_lora_weights=start))  # type: ignore[arg-type]
    copy = altered(trained[0], tmp_path, config={"init_lora_weights": start})
    if torch.equal(layer[0].base_layer.weight, before):
        assert read_adapter(copy).pairs
    else:
        with pytest.raises(CheckpointError, match="init_lora_weights"):
            read_adapter(copy)


def _without_one(row: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: part for name, part in row.items() if name != min(row)}


def _widened(row: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: torch.zeros(part.shape[0], 99) if "lora_A" in name else part
        for name, part in row.items()
    }


def _deeper(row: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("layers.2", "layers.7"): part for name, part in row.items()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_one, "lacks a half"),
        (_widened, "Use the model that it was trained on"),
        (_deeper, r"layers\.7.*Use the model"),
        (lambda row: {**row, "head.weight": torch.zeros(2)}, "head.weight"),
        (lambda row: {}, "empty"),
    ],
)
def test_what_does_not_fit_is_refused(
    trained: tuple[Path, np.ndarray],
    tmp_path: Path,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    words: str,
) -> None:
    copy = altered(trained[0], tmp_path, tensors=change)
    with pytest.raises(CheckpointError, match=words):
        load_model(str(copy))


def test_an_unknown_base_says_how_to_name_it(
    trained: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    copy = altered(trained[0], tmp_path, config={"base_model_name_or_path": "/gone/base"})
    with pytest.raises(CheckpointError, match=r"/gone/base.*unite model merge MODEL"):
        load_model(str(copy))


def test_the_base_is_found_where_the_hub_keeps_its_models(
    trained: tuple[Path, np.ndarray], golden: Path, items: list[Item], tmp_path: Path
) -> None:
    copy = altered(trained[0], tmp_path, config={"base_model_name_or_path": "owner/base"})
    home = tmp_path / "hub" / "models--owner--base"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    shutil.copytree(golden / "checkpoint", home / "snapshots" / ("a" * 40))
    hub = {"cache_dir": str(tmp_path / "hub"), "local_files_only": True}
    found = load_model(str(copy), dtype="float32", revision="of-the-adapter", **hub)
    assert np.abs(vectors(found, items) - trained[1]).max() < 1e-4


def test_broken_weights_are_named(trained: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    copy = altered(trained[0], tmp_path)
    (copy / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors cannot be read"):
        read_adapter(copy)
    (copy / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="Only safetensors"):
        read_adapter(copy)


def test_what_an_adapter_directory_is(trained: tuple[Path, np.ndarray], golden: Path) -> None:
    assert is_adapter(trained[0])
    assert not is_adapter(golden / "checkpoint")


def test_the_product_by_hand() -> None:
    pair = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])
    adapter = Adapter(Path("a"), "", 0.5, {"w": pair})
    found = adapter.changed("w", torch.ones(2, 2))
    assert found.tolist() == [[2.5, 4.0], [3.0, 5.0]]
    other = torch.ones(1)
    assert adapter.changed("v", other) is other
    half = adapter.changed("w", torch.ones(2, 2, dtype=torch.bfloat16))
    assert half.dtype == torch.float32  # rounded by who stores it, once


def test_training_adapters_leave_the_rest_frozen(golden: Path) -> None:
    encoder = load_model(str(golden / "checkpoint"), dtype="float32").encoder
    add_adapters(encoder, 2, 4, 0.0)
    free = {name for name, part in encoder.named_parameters() if part.requires_grad}
    assert len(free) == 3 * 7 * 2
    assert all("lora_" in name and name.startswith("model.layers.") for name in free)
