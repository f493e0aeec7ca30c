"""The 29 published cases through the whole path: file, frames, pixels, tokens, vector.

And that they would tell: each wrong choice that a port could make leaves the tolerances.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unite.data.records import parse_item
from unite.embedder import Embedder
from unite.media import pixels as pixels_module
from unite.media.pixels import PixelPolicy, normalise
from unite.media.video import FramePolicy, read_clip
from unite.model.checkpoint import Model, build_encoder, load_model
from unite.model.preprocess import Features, Preprocessor
from unite.types import Item

Case = dict[str, Any]
NAMES = (
    "text_short", "text_long", "text_unicode", "text_chinese", "text_whitespace", "text_braces",
    "image_small", "image_mid", "image_tall", "image_jpeg", "fused_newline", "fused_nosep",
    "fused_image_key_first", "fused_placeholder_middle", "two_images_text", "instruction_image",
    "video_short_train", "video_long_train", "video_long_train_max6", "video_text",
    "image_video_text", "image_video", "video_short_demo", "video_long_demo",
    "video_short_nframes8", "video_long_nframes8", "video_long_nframes16", "video_short_nframes5",
    "video_long_fps2_default_pixels",
)  # fmt: skip


@pytest.fixture(scope="module")
def published(golden: Path) -> Model:
    return load_model(str(golden / "checkpoint"), dtype="float32")


def under(model: Model, case: Case) -> Model:
    """The model with the case's own frames and sizes."""
    video = case["settings"].get("video", {})
    frames = FramePolicy(
        **{k: video[k] for k in ("fps", "min_frames", "max_frames", "nframes") if k in video}
    )
    pixels = PixelPolicy(clip_max_pixels=video.get("max_pixels", 768 * 28 * 28))
    return replace(model, policy=replace(model.policy, frames=frames, pixels=pixels))


@pytest.fixture(scope="module", params=NAMES)
def prepared(
    request: pytest.FixtureRequest,
    published: Model,
    golden: Path,
    golden_cases: dict[str, Case],
) -> tuple[Case, Model, Item, Features]:
    case = golden_cases[request.param]
    model = under(published, case)
    item = parse_item(case["item"], golden)
    return case, model, item, Preprocessor(model.tokenizer, model.policy)(item)


Prepared = tuple[Case, Model, Item, Features]


def test_all_cases_are_here(golden_cases: dict[str, Case]) -> None:
    assert sorted(golden_cases) == sorted(NAMES)


def test_tokens_and_grids(prepared: Prepared) -> None:
    case, _, _, features = prepared
    assert len(features.input_ids_L) == case["n_tokens"]
    expected = [number for number, count in case["input_ids_rle"] for _ in range(count)]
    assert features.input_ids_L.tolist() == expected
    grids = (case["image_grid_thw"] or []) + (case["video_grid_thw"] or [])
    assert sorted(medium.grid for medium in features.pixels) == sorted(map(tuple, grids))
    assert features.note is None


def test_sampled_frames(prepared: Prepared) -> None:
    case, model, item, _ = prepared
    for clip, facts in zip(item.videos, case.get("video_decode") or [], strict=True):
        assert list(read_clip(clip, model.policy.frames).indices) == facts["indices"]


def test_pixels(prepared: Prepared) -> None:
    case, model, _, features = prepared
    for key in ("pixel_values", "pixel_values_videos"):
        if key not in case:
            continue
        pictures = [medium for medium in features.pixels if (medium.grid[0] > 1) == ("videos" in key)]  # fmt: skip
        values = np.concatenate(
            [normalise(medium.patches_PK, model.policy.pixels) for medium in pictures]
        )
        facts = case[key]
        assert list(values.shape) == facts["shape"]
        probed = values.reshape(-1)[facts["probe_index"]]
        assert probed == pytest.approx(np.array(facts["probe_value"]), abs=2e-6)
        # A few of a clip's pixels at an exact half may round the other way.
        assert np.abs(values, dtype=np.float64).sum() == pytest.approx(facts["abs_sum"], rel=1e-6)
        assert float(values.mean(dtype=np.float64)) == pytest.approx(facts["mean"], abs=1e-6)


def test_vectors(prepared: Prepared) -> None:
    case, model, item, _ = prepared
    (found,) = Embedder(model).embed([item])
    assert found.vector is not None
    tolerance = 5e-4 if item.videos else 1e-5
    assert np.abs(found.vector - np.array(case["embedding"])).max() < tolerance
    assert float(np.linalg.norm(found.vector)) == pytest.approx(1.0, abs=1e-6)
    assert found.vector.dtype == np.float32


def test_a_mixed_batch(published: Model, golden: Path, golden_cases: dict[str, Case]) -> None:
    batch = json.loads((golden / "batched.json").read_text())
    cases = [golden_cases[name] for name in batch["ids"]]
    clip = next(case for case in cases if "video" in case["settings"])
    model = under(published, clip)
    items = [parse_item(case["item"], golden) for case in cases]
    found = list(Embedder(model).embed(items))
    lengths = [len(Preprocessor(model.tokenizer, model.policy)(item).input_ids_L) for item in items]
    assert lengths == batch["lengths"]
    for item, result, expected in zip(items, found, batch["embeddings"], strict=True):
        assert result.vector is not None
        tolerance = 5e-4 if item.videos else 1e-4
        assert np.abs(result.vector - np.array(expected)).max() < tolerance


def test_cases_that_are_equal_by_construction(golden_cases: dict[str, Case]) -> None:
    for one, other in (
        ("video_long_nframes8", "video_long_train"),
        ("video_short_nframes5", "video_short_train"),
    ):
        assert golden_cases[one]["embedding"] == golden_cases[other]["embedding"]


def test_in_bf16_the_direction_stays(golden: Path, golden_cases: dict[str, Case]) -> None:
    model = load_model(str(golden / "checkpoint"), dtype="bfloat16")
    names = ("text_long", "image_small", "image_tall", "fused_newline", "video_short_train")
    items = [parse_item(golden_cases[name]["item"], golden) for name in names]
    found = Embedder(under(model, golden_cases["video_short_train"])).embed(items)
    for name, result in zip(names, found, strict=True):
        assert result.vector is not None
        assert float(result.vector @ np.array(golden_cases[name]["embedding"])) > 0.99


def distance(model: Model, case: Case, golden: Path) -> float:
    """How far the vector of a case is from the published one."""
    (found,) = Embedder(under(model, case)).embed([parse_item(case["item"], golden)])
    assert found.vector is not None
    return float(np.abs(found.vector - np.array(case["embedding"])).max())


@pytest.mark.parametrize("name", ["image_mid", "fused_newline", "video_short_train"])
def test_multimodal_positions_would_show(
    published: Model, golden: Path, golden_cases: dict[str, Case], name: str
) -> None:
    moved = build_encoder(published.encoder.config, "mrope")
    moved.load_state_dict(published.encoder.state_dict())
    assert distance(replace(published, encoder=moved.eval()), golden_cases[name], golden) > 0.1
    plain = build_encoder(published.encoder.config, "mrope")
    plain.load_state_dict(published.encoder.state_dict())
    plain.positions = "1d"  # type: ignore[assignment]
    assert distance(replace(published, encoder=plain.eval()), golden_cases[name], golden) < 5e-4


@pytest.mark.parametrize("name", ["image_small", "image_jpeg", "two_images_text", "video_text"])
def test_one_resize_instead_of_two_would_show(
    published: Model,
    golden: Path,
    golden_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def unchanged(height: int, width: int, policy: PixelPolicy) -> tuple[int, int]:
        return height, width

    monkeypatch.setattr(pixels_module, "first_size", unchanged)
    monkeypatch.setattr(pixels_module, "first_frame_size", unchanged)
    assert distance(published, golden_cases[name], golden) > 5e-3


@pytest.mark.parametrize("name", ["image_mid", "image_tall", "video_short_train"])
def test_a_bilinear_filter_would_show(
    published: Model,
    golden: Path,
    golden_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    from PIL import Image

    def bilinear(image: Image.Image, height: int, width: int) -> Image.Image:
        return image.resize((width, height), Image.Resampling.BILINEAR)

    monkeypatch.setattr(pixels_module, "_resample", bilinear)
    assert distance(published, golden_cases[name], golden) > 5e-3


def test_another_token_pooled_would_show(
    published: Model, golden: Path, golden_cases: dict[str, Case]
) -> None:
    model = under(published, golden_cases["text_long"])
    preprocessor = Preprocessor(model.tokenizer, model.policy)
    features = preprocessor(parse_item(golden_cases["text_long"]["item"], golden))
    batch = preprocessor.collate([features])
    import torch

    with torch.inference_mode():
        (early,) = model.encoder(batch["input_ids_BL"], batch["length_B"] - 1)
    early = early / early.norm()
    published_vector = np.array(golden_cases["text_long"]["embedding"])
    assert np.abs(early.numpy() - published_vector).max() > 0.1
