"""Estimates against numbers worked out by hand, known models, and what autograd really keeps."""

import pytest
import torch

from unite.model.adapters import add_adapters
from unite.model.checkpoint import build_encoder
from unite.model.config import BackboneConfig, VisionConfig
from unite.training.estimate import (
    Chunking,
    Load,
    activation_bytes,
    adapter_parameters,
    count_parameters,
    flops,
    language_forward,
    memory,
    vision_forward,
)
from unite.training.preflight import FACTS
from unite.training.recipe import LoraRecipe, Recipe
from unite.training.recipe_files import load_recipe

# D 4, two heads, one of keys (K 2), M 6; W 2, inner 8, patches of 1 × 1 × 1 × 3 values.
TINY = BackboneConfig(
    width=4, mlp_width=6, depth=2, heads=2, kv_heads=1, vocabulary=10, max_positions=99,
    image_token_id=0, video_token_id=1,
    vision=VisionConfig(depth=1, width=2, heads=1, mlp_width=8, out_width=4, patch_size=1,
                        temporal_patch_size=1, merge_size=2),
)  # fmt: skip
# Two items of 3 and 5 tokens, one of them a picture of 2 × 4 patches.
LOAD = Load(items=2, tokens=8, visual=2, squares=9 + 25, slices=8 * 8)
ONE, TWO = Chunking(tokens=8, chunks=1, largest=8), Chunking(tokens=8, chunks=2, largest=5)


def recipe(lora: LoraRecipe | None, dtype: str = "float32", **run: int | bool) -> Recipe:
    given = load_recipe("debug", ["optimiser.batch_size=1"])
    model = given.model.model_copy(update={"lora": lora, "dtype": dtype})
    return given.model_copy(
        update={"model": model, "run": given.run.model_copy(update={"keep_bytes": 1 << 20, **run})}
    )


LORA = LoraRecipe(rank=2, dropout=0.1)


def test_a_forward_pass_by_hand() -> None:
    keys, others = 2 * 2 * 4 * 2, 2 * (2 * 16 + 3 * 24)
    linear, attention = language_forward(TINY, LOAD)
    assert linear == 8 * (keys + others) + (8 * keys + 2 * others)  # one whole layer, then the last
    assert attention == 2 * 4 * 34 + 4 * 4 * 8
    block = 2 * (4 * 4 + 2 * 2 * 8)
    merger = 2 * 2 * (8 * 8 + 8 * 4)
    assert vision_forward(TINY, LOAD) == 8 * (2 * 3 * 2 + block) + 4 * 2 * 64 + merger


def test_passes_are_counted() -> None:
    linear, attention = language_forward(TINY, LOAD)
    vision = vision_forward(TINY, LOAD)
    whole = flops(TINY, LOAD, recipe(LORA), ONE)
    assert whole.language == 2 * linear + 3 * attention
    assert whole.vision == vision
    chunked = flops(TINY, LOAD, recipe(LORA), TWO)
    assert chunked.language == 3 * linear + 4 * attention
    assert chunked.vision == vision
    trained = flops(TINY, LOAD, recipe(None), TWO)
    assert (trained.language, trained.vision) == (4 * linear + 4 * attention, 4 * vision)
    again = flops(TINY, LOAD, recipe(LORA, gradient_checkpointing=True, chunk_tokens=0), ONE)
    assert again.language == chunked.language


def test_visual_tokens_that_do_not_fit_are_computed_twice() -> None:
    wanted = 2 * 4 * 4
    half = flops(TINY, LOAD, recipe(LORA, keep_bytes=wanted // 2), TWO)
    assert half.vision == 1.5 * vision_forward(TINY, LOAD)


def test_parameters_are_those_of_the_published_models() -> None:
    assert sum(count_parameters(FACTS["Qwen2-VL-2B"])) == 2_208_985_600
    assert sum(count_parameters(FACTS["Qwen2-VL-7B"])) == 8_291_375_616 - 152064 * 3584  # no head


def test_adapters_are_those_that_are_added() -> None:
    encoder = build_encoder(TINY, "1d").to_empty(device="cpu")
    add_adapters(encoder, 3, 6, 0.0)
    trained = sum(part.numel() for part in encoder.parameters() if part.requires_grad)
    assert adapter_parameters(TINY, 3) == trained


def test_memory_by_hand() -> None:
    parameters = sum(count_parameters(TINY))
    found = memory(TINY, LOAD, recipe(LORA, "bfloat16"), TWO)
    assert found.weights == 2 * parameters
    assert found.training == 16 * adapter_parameters(TINY, 2)
    layer = 2 * (6 * 4 + 3 * 6) + 5 * (6 * 4 + 6) + 7 * 4 * 2
    assert found.activations == 5 * layer
    assert found.kept == 2 * 4 * 2  # two visual tokens
    vectors, scores = 2 * 4 * 4 * 2, 4 * 1 * 1
    assert found.loss == vectors + 2 * scores  # a strip, and what the symmetric form keeps
    parts = (found.weights, found.training, found.activations, found.kept, found.loss)
    assert found.total == sum(parts)
    full = memory(TINY, LOAD, recipe(None), ONE)
    assert (full.weights, full.training, full.kept) == (4 * parameters, 12 * parameters, 0)


def test_no_more_is_kept_than_the_recipe_allows() -> None:
    assert memory(TINY, LOAD, recipe(LORA, keep_bytes=10), TWO).kept == 10


WIDER = BackboneConfig(
    width=64, mlp_width=192, depth=6, heads=4, kv_heads=2, vocabulary=300, max_positions=999,
    image_token_id=1, video_token_id=2,
    vision=VisionConfig(depth=3, width=32, heads=2, mlp_width=128, out_width=64),
)  # fmt: skip


@pytest.mark.parametrize(("lora", "dtype"), [(8, "bfloat16"), (None, "float32")])
def test_activations_are_near_what_autograd_keeps(lora: int | None, dtype: str) -> None:
    """Above it on a CPU, where norms keep fp32, and where the last of few layers counts."""
    torch.manual_seed(0)
    encoder = build_encoder(WIDER, "1d").to_empty(device="cpu").to(getattr(torch, dtype))
    for part in encoder.parameters():
        torch.nn.init.normal_(part, std=0.02)
    if lora:
        add_adapters(encoder, lora, 16, 0.0)
    ids_BL = torch.randint(5, 300, (4, 100))
    ids_BL[:, 0] = torch.arange(10, 14)
    ids_BL[:, 10:46] = 1
    grids, patches_PK = [(1, 12, 12)] * 4, torch.randn(4 * 144, WIDER.vision.patch_values)
    own = {part.untyped_storage().data_ptr() for part in encoder.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(part: torch.Tensor) -> torch.Tensor:
        place = part.untyped_storage().data_ptr()
        if part.is_floating_point() and place not in own:
            kept[place] = part
        return part

    encoder.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        encoder(ids_BL, torch.full((4,), 100), patches_PK, grids)
    real = sum(part.untyped_storage().nbytes() for part in kept.values())
    given = recipe(LoraRecipe(rank=lora, dropout=0.0) if lora else None, dtype)
    assert activation_bytes(WIDER, given, 400, 0.36) == pytest.approx(real, rel=0.25)


def test_checkpointing_keeps_the_inputs_of_layers() -> None:
    given = recipe(LORA, "bfloat16", gradient_checkpointing=True, chunk_tokens=0)
    layer = 2 * (6 * 4 + 3 * 6) + 5 * (6 * 4 + 6) + 7 * 4 * 2
    assert activation_bytes(TINY, given, 3, 0) == 3 * (1 * 2 * 4 + layer)


def test_the_paper_fits_its_gpus() -> None:
    """80 GiB a GPU; a chunk of either recipe leaves room for the workspace."""
    for name, facts in (("stage1-2b", "Qwen2-VL-2B"), ("stage1-7b", "Qwen2-VL-7B")):
        given = load_recipe(name)
        budget = given.run.chunk_tokens or 0
        tokens = 64 * 900
        load = Load(items=2 * 4096, tokens=64 * tokens, visual=48 * tokens, squares=0, slices=0)
        found = memory(FACTS[facts], load, given, Chunking(tokens=tokens, chunks=9, largest=budget))
        assert 20 * 2**30 < found.total < 64 * 2**30
