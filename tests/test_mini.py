"""What the package ships: `mini` is whole, small, and finds what the small world holds."""

from pathlib import Path

import numpy as np
import pytest

import unite
from unite.embedder import Embedder
from unite.model.checkpoint import load_model, locate
from unite.types import Item


def test_mini_is_small_and_whole() -> None:
    directory = locate("mini")
    assert sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) < 8 << 20
    model = load_model("mini")
    assert model.policy.small_world
    assert model.policy.mixed_gallery
    assert "small world" in (directory / "README.md").read_text()


def test_mini_knows_its_world(tmp_path: Path) -> None:
    from unite.evaluation.registry import benchmark_named, read
    from unite.evaluation.runner import run_tasks
    from unite.world.build import build_world

    build_world(tmp_path / "world", 160, 99)
    scores = run_tasks(Embedder.open("mini"), read(benchmark_named("world"), tmp_path / "world"))
    first = {s.task: s.recall[1] for s in scores if s.split == "seen_combinations"}
    for task in ("tt", "t2i_fine", "t2v_fine", "i2t", "v2t"):
        assert first[task] > 0.8, (task, first)


def test_any_text_encodes_and_equal_text_is_equal() -> None:
    encoder = Embedder.open("mini")
    texts = ["a red star", "漢字 🚢 e\u0301", "", "a red star"]
    vectors = [result.vector for result in encoder.embed(Item(text=text) for text in texts)]
    assert all(vector is not None for vector in vectors)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-6)


@pytest.mark.filterwarnings("ignore::Warning")
def test_the_one_call_in_python() -> None:
    model = unite.load("mini")
    vectors = model.encode(["a red star", {"text": "a blue ring"}])
    assert vectors.shape == (2, 128)
    with pytest.raises(AttributeError, match="nothing"):
        _ = unite.nothing
