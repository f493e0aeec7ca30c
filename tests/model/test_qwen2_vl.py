"""Our forward pass against transformers' own, and what may not change it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unite.model.config import BackboneConfig, VisionConfig
from unite.model.packing import length_groups, shared_prefix
from unite.model.qwen2_vl import Grid, Qwen2VLEncoder

IMAGE, VIDEO, END = 60, 61, 62
Medium = tuple[int, Grid]
Row = list[int | Medium]
"""Text tokens, and media as their pad token and grid."""

CONFIG = BackboneConfig(
    width=64, mlp_width=96, depth=3, heads=4, kv_heads=2, vocabulary=64, max_positions=512,
    image_token_id=IMAGE, video_token_id=VIDEO, rope_theta=1e4, tie_word_embeddings=False,
    vision=VisionConfig(depth=2, width=32, heads=2, mlp_width=128, out_width=64),
)  # fmt: skip

OTHERS = [
    BackboneConfig(
        width=48, mlp_width=200, depth=5, heads=6, kv_heads=1, vocabulary=90, max_positions=512,
        image_token_id=81, video_token_id=33, rope_theta=1e6, norm_eps=1e-5,
        vision=VisionConfig(depth=3, width=48, heads=3, mlp_width=96, out_width=48),
    ),
    BackboneConfig(
        width=32, mlp_width=64, depth=1, heads=2, kv_heads=2, vocabulary=64, max_positions=512,
        image_token_id=40, video_token_id=41, rope_theta=1e5,
        vision=VisionConfig(depth=1, width=64, heads=2, mlp_width=512, out_width=32),
    ),
]  # fmt: skip
"""Shapes unlike the published set's, with other token ids."""

ROWS: list[Row] = [
    [5, 6, (IMAGE, (1, 4, 6)), 7, END],
    [9, END],
    [1, (IMAGE, (1, 2, 2)), 2, (VIDEO, (3, 4, 4)), (IMAGE, (1, 6, 2)), 3, 4, 5, END],
    [(VIDEO, (2, 2, 8)), END],
    [11, 12, 13, 14, 15, 16, 17, 18, 19, END],
    [(IMAGE, (1, 4, 4)), (IMAGE, (1, 4, 4)), 3, END],
]


def randomised(config: BackboneConfig) -> Qwen2VLEncoder:
    """Random weights, biases and norms too, so that none could be left out unseen."""
    encoder = Qwen2VLEncoder(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.normal_(0.0, 0.15, generator=generator)
            if "norm" in name or "ln_q" in name:
                parameter.add_(1.0 if name.endswith("weight") else 0.0)
    return encoder


@pytest.fixture(scope="module")
def encoder() -> Qwen2VLEncoder:
    return randomised(CONFIG)


def tokens(row: Row) -> list[int]:
    ids: list[int] = []
    for part in row:
        if isinstance(part, int):
            ids.append(part)
        else:
            ids += [part[0]] * (math.prod(part[1]) // 4)
    return ids


def patches(rows: list[Row]) -> tuple[Tensor, list[Medium]]:
    """Every medium's patches; equal grids at equal places of a row have equal patches."""
    media = [part for row in rows for part in row if not isinstance(part, int)]
    parts = [
        torch.randn(math.prod(grid), CONFIG.vision.patch_values, generator=torch.Generator().manual_seed(sum(grid)))
        for _, grid in media
    ]  # fmt: skip
    return torch.cat(parts) if parts else torch.empty(0, CONFIG.vision.patch_values), media


def collate(rows: list[Row], width: int = 0) -> dict[str, Any]:
    ids = [tokens(row) for row in rows]
    width = max(width, *map(len, ids))
    patches_PK, media = patches(rows)
    return {
        "input_ids_BL": torch.tensor([row + [END] * (width - len(row)) for row in ids]),
        "length_B": torch.tensor([len(row) for row in ids]),
        "patches_PK": patches_PK if media else None,
        "grids": [grid for _, grid in media],
    }


def embed(encoder: Qwen2VLEncoder, rows: list[Row], width: int = 0) -> Tensor:
    with torch.inference_mode():
        return encoder(**collate(rows, width))


@pytest.mark.parametrize("config", [CONFIG, *OTHERS])
def test_equals_transformers(config: BackboneConfig) -> None:
    from transformers import Qwen2VLConfig, Qwen2VLModel

    encoder = randomised(config)
    theirs = Qwen2VLModel(Qwen2VLConfig(**config.to_json())).eval()
    theirs.visual.load_state_dict(encoder.visual.state_dict())
    theirs.language_model.load_state_dict(encoder.model.state_dict())
    batch = collate(ROWS)
    ids_BL, length_B = batch["input_ids_BL"].clone(), batch["length_B"]
    for token, other in ((IMAGE, config.image_token_id), (VIDEO, config.video_token_id)):
        ids_BL[batch["input_ids_BL"] == token] = other
    patches_PK, media = patches(ROWS)
    split = patches_PK.split([math.prod(grid) for _, grid in media])

    def of(kind: int) -> tuple[Tensor, Tensor]:
        chosen = [part for part, (token, _) in zip(split, media, strict=True) if token == kind]
        return torch.cat(chosen), torch.tensor([grid for token, grid in media if token == kind])

    (images, image_grids), (videos, video_grids) = of(IMAGE), of(VIDEO)
    place_BL = torch.arange(ids_BL.shape[1]).expand_as(ids_BL)
    with torch.inference_mode():
        hidden_BLD = theirs(
            input_ids=ids_BL,
            attention_mask=(place_BL < length_B[:, None]).long(),
            position_ids=place_BL.expand(3, -1, -1),
            pixel_values=images,
            image_grid_thw=image_grids,
            pixel_values_videos=videos,
            video_grid_thw=video_grids,
        ).last_hidden_state
    expected_BD = hidden_BLD[torch.arange(len(ROWS)), length_B - 1]
    with torch.inference_mode():
        found_BD = encoder(**{**batch, "input_ids_BL": ids_BL})
    assert float(expected_BD.std()) > 0.3
    assert (found_BD - expected_BD).abs().max() < 1e-5 * expected_BD.abs().max()


def test_padding_changes_nothing(encoder: Qwen2VLEncoder) -> None:
    together = embed(encoder, ROWS)
    padded = embed(encoder, ROWS, width=200)
    assert torch.equal(padded, together)
    for number, row in enumerate(ROWS):
        assert (embed(encoder, [row])[0] - together[number]).abs().max() < 1e-5


def test_what_stands_in_the_padding_is_not_seen(encoder: Qwen2VLEncoder) -> None:
    batch = collate(ROWS, width=60)
    plain = encoder(**batch)
    for row, length in zip(batch["input_ids_BL"], batch["length_B"], strict=True):
        row[length:] = 33
    assert torch.equal(encoder(**batch), plain)


def test_the_order_of_the_rows_changes_nothing(encoder: Qwen2VLEncoder) -> None:
    together = embed(encoder, ROWS)
    for seed in range(4):
        order = torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(seed)).tolist()
        moved = embed(encoder, [ROWS[number] for number in order])
        assert (moved - together[order]).abs().max() < 1e-5


def test_slices_of_a_clip_do_not_see_each_other(encoder: Qwen2VLEncoder) -> None:
    values = torch.randn(3 * 16, CONFIG.vision.patch_values)
    with torch.inference_mode():
        clip = encoder.visual(values, [(3, 4, 4)])
        pictures = [encoder.visual(part, [(1, 4, 4)]) for part in values.split(16)]
    assert (clip - torch.cat(pictures)).abs().max() < 1e-5


def test_positions_and_patches_matter(encoder: Qwen2VLEncoder) -> None:
    one: Row = [5, 6, (IMAGE, (1, 4, 6)), END]
    for other in ([6, 5, *one[2:]], [5, 6, (IMAGE, (1, 6, 4)), END], [5, *one[2:], 6, END]):
        assert (embed(encoder, [one]) - embed(encoder, [other])).abs().max() > 1e-2


@pytest.mark.parametrize("change", ["one token less", "one token more", "no patches", "no tokens"])
def test_tokens_and_patches_that_differ_in_number_are_refused(
    encoder: Qwen2VLEncoder, change: str
) -> None:
    batch = collate([[1, (IMAGE, (1, 4, 4)), 2, END]])
    if change == "one token less":
        batch["input_ids_BL"][0, 1] = 5
    elif change == "one token more":
        batch["input_ids_BL"][0, 0] = VIDEO
    elif change == "no patches":
        batch |= {"patches_PK": None, "grids": []}
    else:
        batch["input_ids_BL"][0, 1:5] = 5
    with pytest.raises(ValueError, match=r"\d visual tokens in the text but \d from the pictures"):
        encoder(**batch)


def test_every_parameter_gets_a_gradient_with_media_and_without() -> None:
    """Data-parallel training waits for all of them."""
    encoder = Qwen2VLEncoder(CONFIG).train()
    for rows in (ROWS, [[1, 2, END]]):
        encoder.zero_grad(set_to_none=True)
        encoder(**collate(rows)).sum().backward()
        missing = [name for name, p in encoder.named_parameters() if p.grad is None]
        assert not missing
    vision = [p.grad.abs().max() for n, p in encoder.named_parameters() if n.startswith("visual.")]
    assert max(vision) == 0


def test_half_precision_stays_near(encoder: Qwen2VLEncoder) -> None:
    half = Qwen2VLEncoder(CONFIG).eval()
    half.load_state_dict(encoder.state_dict())
    half.to(torch.bfloat16)
    cosine = torch.cosine_similarity(embed(half, ROWS).float(), embed(encoder, ROWS))
    assert cosine.min() > 0.98


HEAD: Row = [21, 22, 23, 24, 25]
ALIKE: list[Row] = [
    [*HEAD, 7, END],
    [*HEAD, END],
    [*HEAD, (IMAGE, (1, 4, 6)), END],
    [*HEAD, (IMAGE, (1, 6, 4)), END],
    [*HEAD, (IMAGE, (1, 4, 8)), 9, END],
    [*HEAD, *range(1, 30), END],
]


@pytest.mark.parametrize("rows", [ALIKE, ALIKE[2:4], ALIKE[2:5], ALIKE[:2], [ALIKE[0]] * 3])
def test_a_shared_beginning_changes_nothing(encoder: Qwen2VLEncoder, rows: list[Row]) -> None:
    together = embed(encoder, rows)
    for number, row in enumerate(rows):
        assert (embed(encoder, [row])[0] - together[number]).abs().max() < 2e-5


def test_gradients_do_not_depend_on_a_shared_beginning(encoder: Qwen2VLEncoder) -> None:
    together, alone = gradients(encoder, ALIKE), [gradients(encoder, [row]) for row in ALIKE]
    for name, found in together.items():
        expected = sum(part[name] for part in alone)
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(found.abs().max()))  # type: ignore[arg-type]


def gradients(encoder: Qwen2VLEncoder, rows: list[Row]) -> dict[str, Tensor]:
    encoder.zero_grad()
    (encoder(**collate(rows)) ** 2).sum().backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in encoder.named_parameters()
    }


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_prefix_is_shared_up_to_what_differs_or_is_a_picture(rows: list[list[int]]) -> None:
    """Token 2 stands for a picture here."""
    width = max(map(len, rows))
    ids_BL = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    shared = shared_prefix(ids_BL, lengths, ids_BL == 2)
    limit = min(map(len, rows)) - 1
    alike = [{row[place] for row in rows} in ({0}, {1}) for place in range(limit)]
    expected = alike.index(False) if False in alike else limit
    assert shared == expected


@settings(max_examples=300)
@given(st.lists(st.integers(1, 400), max_size=30), st.floats(0, 0.9))
def test_groups_hold_every_row_once_and_pad_little(lengths: list[int], waste: float) -> None:
    groups = list(length_groups(lengths, waste))
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        inside = [lengths[row] for row in group]
        assert inside == sorted(inside, reverse=True)
        padded = len(group) * inside[0]
        assert sum(inside) >= (1 - waste) * padded - 1e-9 * padded
    firsts = [lengths[group[0]] for group in groups]
    assert firsts == sorted(firsts, reverse=True)
