from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from unite.errors import CheckpointError
from unite.model.config import BackboneConfig


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def published(golden: Path) -> dict[str, Any]:
    return read(golden / "checkpoint" / "config.json")


def test_every_spelling_gives_the_same_config(golden: Path, published: dict[str, Any]) -> None:
    config = BackboneConfig.from_json(published)
    assert (config.width, config.depth, config.heads, config.kv_heads) == (64, 3, 4, 2)
    assert (config.vision.depth, config.vision.width, config.vision.heads) == (2, 32, 2)
    variants = sorted((golden / "config_variants").glob("*.json"))
    assert len(variants) == 2
    for variant in variants:
        assert BackboneConfig.from_json(read(variant)) == config, variant.name


@pytest.mark.parametrize("rope", ["rope_theta", "rope_scaling", "rope_parameters"])
def test_the_nested_spelling_of_transformers_5(published: dict[str, Any], rope: str) -> None:
    flat = BackboneConfig.from_json({**published, "rope_theta": 5e5})
    kept = (
        "model_type",
        "vision_config",
        "image_token_id",
        "video_token_id",
        "tie_word_embeddings",
    )
    text = {
        key: value
        for key, value in published.items()
        if key not in (*kept, "rope_theta", "rope_scaling")
    }
    text |= {rope: 5e5} if rope == "rope_theta" else {rope: {"type": "mrope", "rope_theta": 5e5}}
    nested = {key: published[key] for key in kept if key in published} | {"text_config": text}
    assert BackboneConfig.from_json(nested) == flat


def test_transformers_own_config_reads_the_same(published: dict[str, Any]) -> None:
    from transformers import Qwen2VLConfig

    config = BackboneConfig.from_json(published)
    theirs = Qwen2VLConfig(**{**published, "model_type": "qwen2_vl"}).to_dict()
    assert BackboneConfig.from_json(theirs) == config


def test_what_is_written_is_read_back(published: dict[str, Any]) -> None:
    config = BackboneConfig.from_json(published)
    for each in (
        config,
        dataclasses.replace(config, tie_word_embeddings=False, rope_theta=1e4, norm_eps=1e-5),
        dataclasses.replace(config, vision=dataclasses.replace(config.vision, depth=5)),
    ):
        assert BackboneConfig.from_json(json.loads(json.dumps(each.to_json()))) == each


def test_a_missing_value_is_named(published: dict[str, Any]) -> None:
    for key in ("hidden_size", "image_token_id", "vision_config", "num_hidden_layers"):
        row = {name: value for name, value in published.items() if name != key}
        with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
            BackboneConfig.from_json(row)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen2_v", "llama", None])
def test_models_of_another_kind_are_refused(published: dict[str, Any], kind: str | None) -> None:
    with pytest.raises(CheckpointError, match="not supported"):
        BackboneConfig.from_json({**published, "model_type": kind})


def test_heads_must_divide(published: dict[str, Any]) -> None:
    for change in ({"num_attention_heads": 3}, {"num_key_value_heads": 3}):
        with pytest.raises(CheckpointError, match="do not divide"):
            BackboneConfig.from_json({**published, **change})


def test_unknown_fields_of_the_config_class_are_refused(published: dict[str, Any]) -> None:
    config = BackboneConfig.from_json(published)
    with pytest.raises(TypeError):
        dataclasses.replace(config, widht=3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_scaling 'yarn'"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_scaling 'linear'"),
        ({"use_sliding_window": True, "max_window_layers": 2}, "use_sliding_window True"),
        ({"head_dim": 32}, "heads of 32"),
        ({"vision_config": {"hidden_act": "silu"}}, "hidden_act of vision_config 'silu'"),
    ],
)
def test_what_would_be_another_network_is_refused(
    published: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    if vision := change.get("vision_config"):
        change = {"vision_config": {**published["vision_config"], **vision}}
    with pytest.raises(CheckpointError, match=words):
        BackboneConfig.from_json({**published, **change})


def test_what_is_the_same_network_in_other_words_is_taken(published: dict[str, Any]) -> None:
    same = {
        "hidden_act": None,
        "use_sliding_window": True,
        "max_window_layers": published["num_hidden_layers"],
        "head_dim": published["hidden_size"] // published["num_attention_heads"],
        "rope_scaling": {"rope_type": None, "type": "mrope"},
    }
    assert BackboneConfig.from_json({**published, **same}) == BackboneConfig.from_json(published)
