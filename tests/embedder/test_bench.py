from __future__ import annotations

from pathlib import Path

import pytest

from unite.embedder import Embedder
from unite.embedder.bench import bench
from unite.embedder.figures import Figures
from unite.model.checkpoint import Model
from unite.types import Clip, Item


def test_each_kind_is_measured_and_all_together(tiny_model: Model, media: Path) -> None:
    picture, clip = str(media / "p0.png"), Clip(str(media / "clip.mp4"))
    items = [
        *(Item(text=f"number {number}") for number in range(4)),
        Item(images=(picture,)),
        Item(videos=(clip,)),
        Item(videos=(Clip(str(media / "broken.mp4")),)),
        Item(text="a", images=(picture,)),
    ]
    with Embedder(tiny_model) as embedder:
        found = {part.kind: part for part in bench(embedder, items)}
    assert list(found) == ["image", "text", "text+image", "video", "all"]
    assert [part.figures.items for part in found.values()] == [1, 4, 1, 2, 8]
    assert [part.figures.failed for part in found.values()] == [0, 0, 0, 1, 1]
    whole = found["all"]
    assert whole.figures.tokens == sum(part.figures.tokens for part in list(found.values())[:-1])
    for part in found.values():
        assert part.rate == pytest.approx(part.figures.items / part.seconds)
        assert part.token_rate > 0
        assert 0 <= part.hidden <= 1
        assert part.peak is None or part.peak > 10 << 20


def test_one_kind_is_not_measured_twice(tiny_model: Model) -> None:
    with Embedder(tiny_model) as embedder:
        assert [part.kind for part in bench(embedder, [Item(text="a")])] == ["text"]
        assert list(bench(embedder, [])) == []


@pytest.mark.parametrize(
    ("decode", "encode", "wall", "workers", "hidden"),
    [
        (4.0, 10.0, 10.0, 2, 1.0),  # all beside the network
        (4.0, 10.0, 12.0, 2, 0.0),  # two workers took two seconds, and the network waited for both
        (4.0, 10.0, 11.0, 2, 0.5),
        (0.0, 10.0, 11.0, 2, 1.0),  # nothing to hide
        (4.0, 1.0, 9.0, 1, 0.0),
    ],
)
def test_the_hidden_share(
    decode: float, encode: float, wall: float, workers: int, hidden: float
) -> None:
    figures = Figures(decode_seconds=decode, encode_seconds=encode)
    assert figures.hidden(wall, workers) == pytest.approx(hidden)
