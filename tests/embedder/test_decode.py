"""A file that kills, hangs or eats its decoder costs itself only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.training.deadly import Deadly

from unite.embedder import Embedder
from unite.embedder.decode import Decoders, Promise
from unite.errors import MediaError
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.types import Item


@pytest.fixture
def pictures(media: Path, tmp_path: Path) -> dict[str, str]:
    found = {}
    for name in ("one", "deadly", "endless", "two"):
        found[name] = str(tmp_path / f"{name}.png")
        Path(found[name]).write_bytes((media / "p0.png").read_bytes())
    return found


def test_bad_files_are_rows_and_their_neighbours_untouched(
    tiny_model: Model, pictures: dict[str, str]
) -> None:
    deadly = Deadly(tiny_model.policy, Limits())
    items = [Item(text="before"), *(Item(images=(path,)) for path in pictures.values())]
    with Embedder(tiny_model, see=deadly, workers=2, seconds=8.0) as embedder:
        found = list(embedder.embed(items))
        again = list(embedder.embed(items[:2]))  # the pool works on
    reasons = [part.error or "" for part in found]
    assert [bool(reason) for reason in reasons] == [False, False, True, True, False]
    assert f"{pictures['deadly']} died (signal 9)" in reasons[2]
    assert f"{pictures['endless']} timed out after 8 s" in reasons[3]
    plain = list(Embedder(tiny_model).embed([items[0], items[1], items[4]]))
    for one, other in zip([*found[:2], found[4], *again], [*plain, *plain[:2]], strict=True):
        assert one.vector is not None
        assert other.vector is not None
        assert np.abs(one.vector - other.vector).max() < 1e-4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_promise_tells_when_it_is_done(
    tiny_model: Model, pictures: dict[str, str], workers: int
) -> None:
    decoders = Decoders(
        Deadly(tiny_model.policy, Limits()), workers=workers, threads=1, seconds=30.0
    )
    try:
        called: list[Any] = []
        told = threading.Event()
        promise = decoders.ask(pictures["one"])
        promise.add_done_callback(lambda future: (called.append(future), told.set()))
        assert promise.result().pixels.grid == (1, 2, 4)
        assert promise.done()
        assert told.wait(200)
        assert len(called) == 1
        missing = decoders.ask("/nowhere.png")
        with pytest.raises(MediaError, match="nowhere"):
            missing.result()
    finally:
        decoders.close()


def test_closed_decoders_start_anew(tiny_model: Model, pictures: dict[str, str]) -> None:
    decoders = Decoders(Deadly(tiny_model.policy, Limits()), workers=0, threads=1, seconds=1.0)
    for _ in range(2):
        assert decoders.ask(pictures["two"]).result().seconds > 0
        decoders.close()
    decoders.close()


class Mute:
    """A promise whose word that it is done is lost, as when all workers die at once."""

    def __init__(self, promise: Promise) -> None:
        self.done, self.result, self.cancel = promise.done, promise.result, promise.cancel

    def add_done_callback(self, call: object) -> None:
        pass


def test_a_lost_word_costs_a_glance(
    tiny_model: Model, pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Decoders.ask
    monkeypatch.setattr(Decoders, "ask", lambda self, reference: Mute(ask(self, reference)))
    items = [Item(images=(pictures[name],)) for name in ("one", "two")]
    with Embedder(tiny_model) as embedder:
        assert [part.error for part in embedder.embed(items)] == [None, None]


def test_pictures_in_memory_are_the_same_beside_workers(tiny_model: Model) -> None:
    """Pillow sends a palette without its alpha."""
    colours = [(255, 0, 0, 0), (0, 0, 255, 255)]
    picture = Image.new("P", (64, 64), 1)
    picture.putpalette([value for colour in colours for value in colour], "RGBA")
    picture.paste(0, (0, 0, 64, 32))
    turned = Image.new("RGB", (64, 32), "red")
    turned.paste((0, 0, 255), (0, 0, 32, 32))
    turned.getexif()[0x0112] = 6
    items = [Item(images=(picture,)), Item(images=(turned,))]
    plain = list(Embedder(tiny_model).embed(items))
    with Embedder(tiny_model, workers=1) as embedder:
        for one, other in zip(embedder.embed(items), plain, strict=True):
            assert one.vector is not None
            assert other.vector is not None
            assert np.abs(one.vector - other.vector).max() < 1e-5
