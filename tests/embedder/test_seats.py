from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.embedder.deadly import DeadlyEncoder

from unite.embedder.encode import BatchEncoder
from unite.embedder.seats import DeviceEncoder, ProcessSeats, ThreadSeat
from unite.errors import CheckpointError, UniteError
from unite.model.checkpoint import Model, save_model
from unite.model.preprocess import Features, Preprocessor
from unite.types import Item


@pytest.fixture
def batch(tiny_model: Model) -> list[Features]:
    preprocessor = Preprocessor(tiny_model.tokenizer, tiny_model.policy)
    return [preprocessor(Item(text=text)) for text in ("a red boat", "near the lighthouse")]


def on(directory: Path, model: Model) -> DeviceEncoder:
    return DeviceEncoder(str(directory), "float32", model.policy, "cpu")


def test_a_thread_and_a_process_give_the_same(
    tiny_model: Model, batch: list[Features], tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path / "m")
    thread = ThreadSeat(
        BatchEncoder(tiny_model, Preprocessor(tiny_model.tokenizer, tiny_model.policy))
    )
    process = ProcessSeats([on(tmp_path / "m", tiny_model)])
    try:
        found = [seat.submit(batch).result() for seat in (thread, process)]
        found += [seat.now(batch).result() for seat in (thread, process)]
    finally:
        thread.close()
        process.close()
    assert all(part.seconds > 0 for part in found)
    for part in found[1:]:
        for one, other in zip(part.outcomes, found[0].outcomes, strict=True):
            assert np.abs(np.asarray(one) - np.asarray(other)).max() < 1e-5


def test_what_keeps_a_model_from_loading_comes_out(
    tiny_model: Model, batch: list[Features], tmp_path: Path
) -> None:
    seats = ProcessSeats([on(tmp_path / "none", tiny_model)])
    try:
        with pytest.raises(CheckpointError, match="none"):
            seats.submit(batch).result()
    finally:
        seats.close()


def test_a_model_process_that_dies_ends_the_work_with_a_reason(
    tiny_model: Model, batch: list[Features]
) -> None:
    seats = ProcessSeats([DeadlyEncoder("m", "float32", tiny_model.policy, "cpu")])
    try:
        with pytest.raises(UniteError, match=r"model's process died.*signal 9"):
            seats.submit(batch).result()
    finally:
        seats.close()
