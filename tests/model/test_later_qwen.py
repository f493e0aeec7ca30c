"""Other Qwen backbones: equal to transformers' own call, and whole models on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unite.embedder import Embedder
from unite.model.adapters import add_adapters
from unite.model.checkpoint import Model, build_encoder, built_anew, load_model, save_model
from unite.model.config import BackboneConfig, LaterConfig, read_config
from unite.model.later_qwen import LaterQwenEncoder, mrope_positions
from unite.model.policy import read_policy
from unite.model.tokenizer import IMAGE_PAD, VIDEO_PAD, token_id, train_tokenizer
from unite.types import Clip, Item

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 420,
    "max_position_embeddings": 4096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
}
ROWS: dict[str, dict[str, Any]] = {
    "qwen2_vl": {
        "text_config": TEXT,
        "vision_config": {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 32},
    },
    "qwen2_5_vl": {
        "text_config": TEXT,
        "vision_config": {
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 32, "fullatt_block_indexes": [1], "window_size": 56,
        },
    },
    "qwen3_vl": {
        "text_config": {**TEXT, "head_dim": 8},
        "vision_config": {
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 32, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
    },
}  # fmt: skip
KINDS = list(ROWS)
LATER = KINDS[1:]


def tiny(kind: str, positions: str = "mrope") -> Model:
    """A whole model with random weights, four tokens a picture."""
    tokenizer = train_tokenizer(["a boat near the lighthouse"], 300)
    row = {
        "model_type": kind,
        "image_token_id": token_id(tokenizer, IMAGE_PAD),
        "video_token_id": token_id(tokenizer, VIDEO_PAD),
        **ROWS[kind],
    }
    torch.manual_seed(5)
    encoder = LaterQwenEncoder(LaterConfig.from_json(row), positions).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    factor = encoder.config.patch_size * encoder.config.merge_size
    policy = read_policy(Path("nowhere"), encoder.config)
    area = 4 * factor**2
    from dataclasses import replace

    pixels = replace(
        policy.pixels, first_min_pixels=area, first_max_pixels=area, min_pixels=area,
        max_pixels=area, clip_min_pixels=area, clip_max_pixels=area,
    )  # fmt: skip
    return Model(encoder, tokenizer, replace(policy, pixels=pixels, positions=positions), "tiny")


@pytest.fixture(scope="module", params=LATER)
def later(request: pytest.FixtureRequest) -> Model:
    return tiny(request.param)


@pytest.fixture(scope="module")
def items(media: Path) -> list[Item]:
    picture, other = str(media / "p0.png"), str(media / "p1.png")
    return [
        Item(text="a boat"),
        Item(images=(picture,)),
        Item(images=(other, picture), text="near"),
        Item(videos=(Clip(str(media / "clip.mp4")),)),
        Item(videos=(Clip(str(media / "clip.mp4")),), images=(picture,), text="the lighthouse"),
    ]


def vectors(model: Model, items: list[Item]) -> np.ndarray:
    found = list(Embedder(model).embed(items))
    assert [part.error for part in found] == [None] * len(items)
    return np.stack([part.vector for part in found if part.vector is not None])


@pytest.mark.parametrize("kind", KINDS)
def test_equals_transformers_on_text_and_pictures(kind: str) -> None:
    from transformers import AutoConfig, AutoModel

    model = tiny(kind)
    encoder = model.encoder
    assert isinstance(encoder, LaterQwenEncoder)
    row = {key: value for key, value in encoder.config.row.items() if key != "model_type"}
    theirs = AutoModel.from_config(AutoConfig.for_model(kind, **row)).eval()
    theirs.visual.load_state_dict(encoder.visual.state_dict())
    theirs.language_model.load_state_dict(encoder.model.state_dict())
    pad = encoder.config.image_token_id
    rows = [[5, 6, *[pad] * 6, 7, 8], [9, 10, 11], [1, *[pad] * 4, 2, *[pad] * 6, 3]]
    grids = [(1, 4, 6), (1, 4, 4), (1, 6, 4)]
    patches = torch.randn(
        sum(h * w for _, h, w in grids), 3 * 2 * encoder.config.patch_size**2,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    length_B = torch.tensor([len(row) for row in rows])
    ids_BL = torch.tensor([row + [0] * (int(length_B.max()) - len(row)) for row in rows])
    with torch.inference_mode():
        found = encoder(ids_BL, length_B, patches, grids)
        hidden = theirs(
            input_ids=ids_BL,
            attention_mask=(torch.arange(ids_BL.shape[1]) < length_B[:, None]).long(),
            mm_token_type_ids=(ids_BL == pad).int(),
            pixel_values=patches,
            image_grid_thw=torch.tensor(grids),
        ).last_hidden_state
    expected = hidden[torch.arange(3), length_B - 1]
    assert float(expected.std()) > 0.1
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_plain_positions_equal_our_own_forward(published: Model) -> None:
    ours = published.encoder
    assert isinstance(ours.config, BackboneConfig)
    other = LaterQwenEncoder(LaterConfig.from_json(ours.config.to_json()), "1d").eval()
    other.load_state_dict(ours.state_dict())
    pad = ours.config.image_token_id
    ids_BL, length_B = (
        torch.tensor([[1, 2, *[pad] * 4, 3], [4, 5, 6, 7, 8, 9, 10]]),
        torch.tensor([7, 5]),
    )
    patches = torch.randn(16, 1176, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = ours(ids_BL, length_B, patches, [(1, 4, 4)])
        assert (other(ids_BL, length_B, patches, [(1, 4, 4)]) - plain).abs().max() < 1e-5
        other.positions = "mrope"
        moved = other(ids_BL, length_B, patches, [(1, 4, 4)])
    assert (moved[0] - plain[0]).abs().max() > 1e-2
    assert (moved[1] - plain[1]).abs().max() < 1e-5  # text has the same places in both


def test_mean_pooling_is_the_mean_of_a_rows_own_states(published: Model) -> None:
    ours = published.encoder
    assert isinstance(ours.config, BackboneConfig)
    config = LaterConfig.from_json(ours.config.to_json())
    last, mean = (LaterQwenEncoder(config, "1d", pooling).eval() for pooling in ("last", "mean"))
    for encoder in (last, mean):
        encoder.load_state_dict(ours.state_dict())
    row = [4, 5, 6, 7]
    with torch.inference_mode():
        # Under causal attention the states of a row are the last states of its beginnings.
        states = [last(torch.tensor([row[:n]]), torch.tensor([n])) for n in range(1, 5)]
        found = mean(torch.tensor([[*row, 0, 0], [1, 2, 3, 4, 5, 6]]), torch.tensor([4, 6]))
    assert (found[0] - torch.cat(states).mean(0)).abs().max() < 1e-5


@pytest.mark.parametrize(("positions", "pooling"), [("mrope", None), (None, "mean")])
def test_a_model_built_anew_keeps_its_weights_and_is_saved_as_it_is(
    positions: str | None, pooling: str | None, published: Model, tmp_path: Path
) -> None:
    assert built_anew(published, positions=None, pooling="last") is published
    model = built_anew(published, positions=positions, pooling=pooling)
    assert (model.policy.positions, model.policy.pooling) == (positions or "1d", pooling or "last")
    before, after = published.encoder.state_dict(), model.encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    save_model(model, tmp_path / "model")
    again = load_model(str(tmp_path / "model"), dtype="float32")
    assert again.policy == model.policy
    assert isinstance(again.encoder, LaterQwenEncoder)
    assert again.encoder.pooling == model.policy.pooling


def test_positions_by_hand() -> None:
    visual = torch.tensor([[0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0]], dtype=torch.bool)
    found = mrope_positions(visual, [(1, 4, 6), (1, 2, 2)], 2)
    assert found[:, 0].tolist() == [
        [0, 1, 1, 1, 1, 1, 1, 4, 5, 6, 7],
        [0, 1, 1, 1, 2, 2, 2, 4, 5, 6, 7],
        [0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7],
    ]
    clip = mrope_positions(torch.tensor([[True] * 5 + [False]]), [(5, 2, 2)], 2)
    assert clip[:, 0].tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 5], [0, 0, 0, 0, 0, 5]]


def test_neighbours_and_order_change_nothing(later: Model, items: list[Item]) -> None:
    together = vectors(later, items)
    alone = np.concatenate([vectors(later, [item]) for item in items])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(vectors(later, items[::-1])[::-1] - together).max() < 1e-5
    assert np.abs(together @ together.T - np.eye(5)).max() > 0.01
    assert np.linalg.matrix_rank(together, tol=1e-3) == 5


@pytest.mark.parametrize("positions", ["mrope", "1d"])
@pytest.mark.parametrize("kind", LATER)
def test_saved_and_loaded_bit_for_bit(
    kind: str, positions: str, items: list[Item], tmp_path: Path
) -> None:
    model = tiny(kind, positions)
    save_model(model, tmp_path / "m")
    again = load_model(str(tmp_path / "m"))
    assert again.id == model.id
    assert again.policy == model.policy
    assert isinstance(again.encoder, LaterQwenEncoder)
    assert again.encoder.positions == positions
    assert (vectors(again, items) == vectors(model, items)).all()


@pytest.mark.parametrize("kind", LATER)
def test_what_transformers_saves_loads(kind: str, tmp_path: Path) -> None:
    import transformers

    model = tiny(kind)
    assert isinstance(model.encoder, LaterQwenEncoder)
    row = {key: value for key, value in model.encoder.config.row.items() if key != "model_type"}
    config = transformers.AutoConfig.for_model(kind, **row)
    theirs = transformers.AutoModelForImageTextToText.from_config(config)
    theirs.model.visual.load_state_dict(model.encoder.visual.state_dict())
    theirs.model.language_model.load_state_dict(model.encoder.model.state_dict())
    theirs.save_pretrained(tmp_path)
    model.tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load_model(str(tmp_path))
    assert again.policy.positions == "mrope"
    assert all(
        torch.equal(part, again.encoder.state_dict()[name])
        for name, part in model.encoder.state_dict().items()
    )


@pytest.mark.parametrize("kind", LATER)
def test_adapters_never_enter_the_vision_tower(kind: str) -> None:
    encoder = tiny(kind).encoder
    add_adapters(encoder, 2, 4, 0.0)
    adapted = {name for name, _ in encoder.named_parameters() if "lora_" in name}
    assert len(adapted) == 2 * 7 * 2  # layers, projections, A and B
    assert not any(name.startswith("visual") for name in adapted)
    gated = [name for name, _ in encoder.visual.named_parameters() if "gate_proj" in name]
    assert bool(gated) == (kind == "qwen2_5_vl")


@pytest.mark.parametrize("kind", LATER)
def test_a_batch_of_text_gives_every_parameter_a_gradient(kind: str) -> None:
    encoder = tiny(kind).encoder.train()
    encoder(torch.tensor([[1, 2, 3]]), torch.tensor([3])).sum().backward()
    without = [name for name, part in encoder.named_parameters() if part.grad is None]
    assert not without
    towers = [
        part.grad.abs().max() for part in encoder.visual.parameters() if part.grad is not None
    ]
    assert float(torch.stack(towers).max()) == 0.0


def test_visual_tokens_and_patches_must_agree(later: Model) -> None:
    pad = later.encoder.config.image_token_id
    values = 6 * later.policy.pixels.patch_size**2
    with pytest.raises(ValueError, match="2 visual tokens in the text but 4"):
        later.encoder(
            torch.tensor([[1, pad, pad, 2]]),
            torch.tensor([4]),
            torch.zeros(16, values),
            [(1, 4, 4)],
        )


def test_an_incomplete_config_is_named() -> None:
    row = {"model_type": "qwen3_vl", **ROWS["qwen3_vl"]}
    from unite.errors import CheckpointError

    with pytest.raises(CheckpointError, match="image_token_id"):
        read_config(row)
    assert (
        json.loads(json.dumps(tiny("qwen3_vl").encoder.config.to_json()))["model_type"]
        == "qwen3_vl"
    )


@pytest.fixture(scope="module")
def published(golden: Path) -> Model:
    return load_model(str(golden / "checkpoint"), dtype="float32")


def test_the_network_follows_the_policy(published: Model) -> None:
    config = published.encoder.config
    assert not isinstance(build_encoder(config, "1d"), LaterQwenEncoder)
    moved = build_encoder(config, "mrope")
    assert isinstance(moved, LaterQwenEncoder)
    assert set(moved.state_dict()) == set(published.encoder.state_dict())


def test_shapes(later: Model) -> None:
    found: Tensor = later.encoder(torch.tensor([[1, 2], [3, 4]]), torch.tensor([2, 1]))
    assert found.shape == (2, later.dim)
