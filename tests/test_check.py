"""Checks of a model: the built-in items, what counts as sound, stored vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unite.check import (
    COSINE,
    TOLERANCE,
    Check,
    Difference,
    check_model,
    compare_golden,
    probes,
    write_golden,
)
from unite.errors import CheckpointError
from unite.media.video import FramePolicy, read_clip
from unite.model.checkpoint import Model, load_model
from unite.types import Modality


@pytest.fixture(scope="module")
def found(golden: Path) -> Check:
    return check_model(load_model(str(golden / "checkpoint"), dtype="float32"))


def test_the_items_cover_every_modality(tmp_path: Path) -> None:
    items = probes(tmp_path)
    kinds = {item.modality for item in items.values()}
    text, image, video = Modality.TEXT, Modality.IMAGE, Modality.VIDEO
    assert kinds == {text, image, video, text | image, text | video}


def test_the_clip_is_the_same_everywhere(tmp_path: Path) -> None:
    (clip,) = probes(tmp_path)["video"].videos
    frames = read_clip(clip, FramePolicy()).frames_THWC
    assert frames.shape == (4, 120, 160, 3)
    assert (np.roll(frames[1], -5 * 8, axis=1) == frames[0]).all()  # lossless: only moved


def test_a_good_model_is_sound(found: Check) -> None:
    assert found.sound
    assert set(found.vectors) == set(found.drift)
    assert max(part.largest for part in found.drift.values()) < 1e-5
    matrix = np.stack(list(found.vectors.values()))
    assert np.linalg.matrix_rank(matrix, tol=1e-3) == len(matrix)


def test_in_bf16_the_cosine_counts(golden: Path) -> None:
    half = check_model(load_model(str(golden / "checkpoint"), dtype="bfloat16"))
    assert half.dtype == "bfloat16"
    assert half.sound


def test_a_model_that_looks_at_its_neighbours_is_not_sound(golden: Path) -> None:
    model = load_model(str(golden / "checkpoint"), dtype="float32")
    forward = model.encoder.forward

    def leaky(*arguments: Any, **more: Any) -> torch.Tensor:
        hidden_BD = forward(*arguments, **more)
        return hidden_BD + 0.1 * hidden_BD.mean(0) * (len(hidden_BD) > 1)

    model.encoder.forward = leaky  # type: ignore[method-assign, assignment]
    assert not check_model(model).sound


def test_stored_vectors_are_found_again(found: Check, tmp_path: Path) -> None:
    write_golden(tmp_path / "g.json", found)
    stored = compare_golden(tmp_path / "g.json", found)
    assert set(stored) == set(found.vectors)
    assert max(part.largest for part in stored.values()) < 1e-7
    name = "video"
    moved = replace(found, vectors={**found.vectors, name: -found.vectors[name]})
    differences = compare_golden(tmp_path / "g.json", moved)
    assert not differences[name].within("float32")
    assert all(part.within("float32") for key, part in differences.items() if key != name)


def test_what_rounding_is() -> None:
    assert Difference(TOLERANCE, 1.0).within("float32")
    assert not Difference(2 * TOLERANCE, 1.0).within("float32")
    assert Difference(0.1, COSINE).within("bfloat16")
    assert not Difference(0.0, 0.98).within("bfloat16")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "vectors": {}}', "3"])
def test_other_files_are_no_stored_vectors(found: Check, tmp_path: Path, text: str) -> None:
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(CheckpointError, match="no stored vectors"):
        compare_golden(tmp_path / "g.json", found)
    with pytest.raises(CheckpointError, match="cannot be read"):
        compare_golden(tmp_path / "none.json", found)


def test_vectors_of_other_items_or_widths_are_refused(found: Check, tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    write_golden(path, found)
    row = json.loads(path.read_text())
    short = {name: vector[:3] for name, vector in row["vectors"].items()}
    path.write_text(json.dumps({**row, "vectors": short}))
    with pytest.raises(CheckpointError, match="3 numbers, the model's have 64"):
        compare_golden(path, found)
    path.write_text(json.dumps({**row, "vectors": {"text": [1.0]}}))
    with pytest.raises(CheckpointError, match="items differ"):
        compare_golden(path, found)


def test_damaged_weights_are_found(golden: Path) -> None:
    model: Model = load_model(str(golden / "checkpoint"), dtype="float32")
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"no finite vector.*damaged"):
        check_model(model)
