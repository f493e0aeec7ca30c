from __future__ import annotations

import shutil
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unite.errors import MediaError
from unite.media.source import Limits
from unite.model.checkpoint import Model, load_model
from unite.model.preprocess import Pixels, Seen
from unite.model.vision_cache import Sight, VisionCache
from unite.types import Clip


@pytest.fixture
def model(golden: Path) -> Model:
    return load_model(str(golden / "checkpoint"))


def test_what_is_put_comes_back_under_the_content_not_the_path(
    model: Model, golden: Path, tmp_path: Path
) -> None:
    cache = VisionCache.of(model, model.policy, tmp_path / "cache")
    photo = golden / "media" / "photo_500x333.jpg"
    sight = Sight(model.policy, Limits(), cache)
    pixels = sight(str(photo))
    assert isinstance(pixels, Pixels)
    assert pixels.key is not None
    with torch.no_grad():
        patches = torch.from_numpy(pixels.patches_PK).float()
        (tokens_VD,) = model.encoder.see(patches, [pixels.grid])
    cache.put(pixels.key, tokens_VD, pixels.grid)
    shutil.copy(photo, tmp_path / "other.jpg")
    seen = sight(str(tmp_path / "other.jpg"))
    assert isinstance(seen, Seen)
    assert torch.equal(seen.tokens(), tokens_VD)
    assert seen.grid == pixels.grid


def test_keys_differ_by_content_and_span(model: Model, golden: Path, tmp_path: Path) -> None:
    cache = VisionCache.of(model, model.policy, tmp_path)
    clip = str(golden / "media" / "clip_2s_320x240_24fps.mp4")
    other = str(golden / "media" / "clip_9s_640x360_30fps.mp4")
    keys = [cache.key(ref) for ref in (clip, Clip(clip), Clip(clip, 0, 1), Clip(other))]
    assert len(set(keys)) == 4
    changing = tmp_path / "changing.png"
    changing.write_bytes(b"one")
    first = cache.key(str(changing))
    changing.write_bytes(b"other")
    assert cache.key(str(changing)) != first


def test_folders_differ_by_tower_policy_and_dtype(model: Model, tmp_path: Path) -> None:
    def folder(which: Model) -> Path:
        return VisionCache.of(which, which.policy, tmp_path).directory

    first = folder(model)
    frames = replace(model, policy=model.policy.with_frames(nframes=8))
    assert folder(frames) != first
    longer = replace(model, policy=replace(model.policy, max_tokens=99))
    assert folder(longer) == first
    with torch.no_grad():
        next(iter(model.encoder.model.parameters())).add_(1)
        assert folder(model) == first
        next(iter(model.encoder.visual.parameters())).add_(1)
    changed = folder(model)
    assert changed != first
    model.encoder.to(torch.bfloat16)
    assert folder(model) != changed


def test_half_precision_comes_back_to_the_bit(model: Model, tmp_path: Path) -> None:
    cache = VisionCache(tmp_path)
    tokens_VD = torch.randn(6, 8).to(torch.bfloat16)
    cache.put("abcd", tokens_VD, (1, 4, 6))
    found = cache.get("abcd")
    assert found is not None
    assert found.tokens().dtype == torch.bfloat16
    assert torch.equal(found.tokens(), tokens_VD)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    cache = VisionCache(tmp_path)
    assert cache.get("abcd") is None
    cache.put("abcd", torch.randn(4, 2), (1, 2, 8))
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    assert cache.get("abcd") is None


def test_a_medium_that_is_missing_is_an_error_of_its_own(model: Model, tmp_path: Path) -> None:
    cache = VisionCache.of(model, model.policy, tmp_path)
    with pytest.raises(MediaError, match="cannot be opened"):
        Sight(model.policy, Limits(), cache)("nowhere.png")


def test_addresses_and_uris_have_keys_too(model: Model, golden: Path, tmp_path: Path) -> None:
    cache = VisionCache.of(model, model.policy, tmp_path / "cache")
    photo = golden / "media" / "photo_500x333.jpg"
    assert cache.key(photo.absolute().as_uri()) == cache.key(str(photo))
    uri = f"data:image/jpeg;base64,{b64encode(photo.read_bytes()).decode()}"
    assert cache.key(uri) == cache.key(uri) != cache.key(uri[:-4])
    seen = Sight(model.policy, Limits(), cache)(uri)
    assert isinstance(seen, Pixels)
    with pytest.raises(MediaError, match="http addresses are not fetched"):
        cache.key("http://host/a.png")
