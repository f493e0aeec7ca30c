from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import ref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unite.embedder import Embedder, Figures, flow, stack
from unite.embedder.decode import Decoded, Decoders, Promise
from unite.embedder.flow import Budget
from unite.errors import CheckpointError
from unite.model.checkpoint import Model, save_model
from unite.model.preprocess import Pixels, Seen
from unite.types import Clip, Embedding, Encoder, Item

NEAR = 1e-4


@pytest.fixture(scope="module")
def embedder(tiny_model: Model) -> Embedder:
    return Embedder(tiny_model)


@pytest.fixture(scope="module")
def items(media: Path) -> list[Item]:
    """All kinds, long and short, some of them broken; a picture in memory too."""
    p0, p1, p2 = (str(media / f"p{n}.png") for n in range(3))
    clip = str(media / "clip.mp4")
    return [
        Item(text="a red boat"),
        Item(images=(p0,)),
        Item(text="broken", images=(str(media / "broken.png"),)),
        Item(videos=(Clip(clip),), text="<|VIDEO|> a clip"),
        Item(text="near the lighthouse " * 12),
        Item(images=(p1, p2), text="both", instruction="compare"),
        Item(text="x", images=(str(media / "none.png"),)),
        Item(text="too long " * 400),
        Item(text="<|IMAGE|> no picture"),
        Item(images=(Image.new("RGB", (70, 50), "red"),)),
        Item(videos=(Clip(clip, 0.5, 1.5), Clip(clip)), images=(p0,)),
        Item(text=""),
        Item(videos=(Clip(str(media / "broken.mp4")),)),
        Item(text="a red boat"),
    ]


@contextmanager
def no_collection() -> Iterator[None]:
    """Only what nothing refers to any more is let go, at once."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


BROKEN = (2, 6, 7, 8, 12)


@pytest.fixture(scope="module")
def alone(embedder: Embedder, items: list[Item]) -> list[Embedding]:
    """Each item embedded by itself."""
    return [next(iter(embedder.embed([item]))) for item in items]


def agree(found: list[Embedding], expected: list[Embedding]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.error, one.note) == (other.error, other.note)
        assert (one.vector is None) == (other.vector is None)
        if one.vector is not None and other.vector is not None:
            assert np.abs(one.vector - other.vector).max() < NEAR


def test_rows_out_are_rows_in_and_neighbours_of_broken_ones_unmoved(
    embedder: Embedder, items: list[Item], alone: list[Embedding]
) -> None:
    found = list(embedder.embed(items))
    agree(found, alone)
    assert tuple(row for row, part in enumerate(found) if part.vector is None) == BROKEN
    for row, part in enumerate(found):
        assert (part.error is not None) == (row in BROKEN)
        if part.vector is not None:
            assert part.vector.dtype == np.float32
            assert part.vector.shape == (embedder.dim,)
            assert float(np.linalg.norm(part.vector)) == pytest.approx(1, abs=1e-5)


def test_vectors_differ_where_items_do(alone: list[Embedding]) -> None:
    vectors = np.stack([part.vector for part in alone if part.vector is not None])
    near = np.abs(vectors[:, None] - vectors).max(-1) < 1e-3
    assert near.sum() == len(vectors) + 2  # the first item comes again as the last


def test_errors_say_what_is_wrong(alone: list[Embedding]) -> None:
    errors = [part.error or "" for part in alone if part.vector is None]
    for error, expected in zip(
        errors,
        ("broken.png", "none.png", "the model takes 256", "<|IMAGE|>", "broken.mp4"),
        strict=True,
    ):
        assert expected in error


@settings(max_examples=20)
@given(st.data())
def test_no_budget_window_or_order_changes_a_vector(
    tiny_model: Model, items: list[Item], alone: list[Embedding], data: st.DataObject
) -> None:
    order = data.draw(st.lists(st.sampled_from(range(len(items))), max_size=30))
    budget = Budget(data.draw(st.integers(1, 600)), data.draw(st.sampled_from([1, 100, 300, 8192])))
    with pytest.MonkeyPatch.context() as patch, Embedder(tiny_model, budget=budget) as embedder:
        for name in ("AHEAD", "UNGIVEN", "REMEMBERED"):
            patch.setattr(flow, name, data.draw(st.integers(1, 16), label=name))
        found = list(embedder.embed(items[row] for row in order))
    agree(found, [alone[row] for row in order])


@pytest.mark.parametrize(
    "options", [{"threads": 1}, {"threads": 5}, {"workers": 1}, {"workers": 3}]
)
def test_who_decodes_changes_nothing(
    tiny_model: Model, items: list[Item], alone: list[Embedding], options: dict[str, int]
) -> None:
    with Embedder(tiny_model, **options) as embedder:  # type: ignore[arg-type]
        agree(list(embedder.embed(items)), alone)
        agree(list(embedder.embed(items[:3])), alone[:3])


def test_on_two_devices_in_a_process_each(
    tiny_model: Model, items: list[Item], alone: list[Embedding], tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path / "m")
    with Embedder.open(str(tmp_path / "m"), devices=["cpu", "cpu"]) as embedder:
        agree(list(embedder.embed(items)), alone)
    with pytest.raises(CheckpointError, match="in memory"):
        Embedder(tiny_model, devices=["cpu", "cpu"])


def test_equal_items_are_embedded_once(
    tiny_model: Model, items: list[Item], alone: list[Embedding]
) -> None:
    figures = Figures()
    order = [*range(len(items)), *range(len(items))]
    named = [replace(items[row], id=str(place)) for place, row in enumerate(order)]
    with Embedder(tiny_model) as embedder:
        found = list(embedder.embed(named, figures))
    agree(found, [alone[row] for row in order])
    assert figures.items == len(order)
    assert (
        figures.repeated == len(items) + 1 - 1
    )  # one more within; a picture in memory has no name
    assert figures.failed == 2 * len(BROKEN)
    vectors = [part.vector for part in found if part.vector is not None]
    vectors[0][:] = 0
    assert all(vector.any() for vector in vectors[1:])  # nobody shares a vector


def test_equal_media_are_decoded_once(tiny_model: Model, media: Path) -> None:
    figures = Figures()
    picture, clip = str(media / "p0.png"), Clip(str(media / "clip.mp4"))
    items = [Item(text=f"number {n}", images=(picture,), videos=(clip,)) for n in range(5)]
    with Embedder(tiny_model) as embedder:
        list(embedder.embed(items, figures))
    assert figures.media == 2


def test_the_figures_add_up(tiny_model: Model, items: list[Item]) -> None:
    figures = Figures()
    with Embedder(tiny_model, budget=Budget(1000, 100)) as embedder:
        list(embedder.embed(items, figures))
    good = [item for row, item in enumerate(items[:-1]) if row not in BROKEN]
    lengths = [len(embedder.preprocessor(item).input_ids_L) for item in good]
    assert figures.tokens == sum(lengths) <= figures.padded
    assert 0 < figures.efficiency <= 1
    assert figures.batches > 1
    assert figures.encode_seconds > 0
    assert figures.decode_seconds > 0


def test_windows_do_not_follow_how_fast_media_are_decoded(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(decoders: Decoders, reference: str | Image.Image | Clip) -> Promise:
        done: Future[Decoded] = Future()
        done.set_result(decoders._see(reference))
        return done

    monkeypatch.setattr(Decoders, "ask", at_once)
    pictures = [Item(images=(Image.new("RGB", (30, 30), (n, 0, 0)),)) for n in range(40)]
    figures = Figures()
    with Embedder(tiny_model, budget=Budget(10**6, 10**6)) as embedder:
        assert len(list(embedder.embed(pictures, figures))) == 40
    assert figures.batches == 1


def test_nothing_in_nothing_out(embedder: Embedder) -> None:
    assert list(embedder.embed([])) == []


def test_items_all_broken(embedder: Embedder, items: list[Item]) -> None:
    found = list(embedder.embed([items[row] for row in BROKEN]))
    assert [part.vector for part in found] == [None] * len(BROKEN)


def test_items_are_read_only_as_far_as_needed(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "UNGIVEN", 50)
    read = 0

    def endless() -> Iterator[Item]:
        nonlocal read
        while True:
            read += 1
            yield Item(text=f"number {read}")

    with Embedder(tiny_model) as embedder:
        stream = embedder.embed(endless())
        for _ in range(60):
            next(stream)
        assert read <= 110
        stream.close()  # type: ignore[attr-defined]


def test_an_endless_row_of_equal_items_comes_out(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "UNGIVEN", 50)
    with Embedder(tiny_model) as embedder:
        found = list(embedder.embed(Item(text="the same") for _ in range(300)))
    assert len(found) == 300
    assert all(np.array_equal(part.vector, found[0].vector) for part in found)  # type: ignore[arg-type]


def test_an_error_of_the_items_own_comes_out_and_the_next_stream_works(
    embedder: Embedder, media: Path
) -> None:
    def broken() -> Iterator[Item]:
        yield Item(images=(str(media / "p0.png"),))
        raise KeyError("of the caller's")

    with pytest.raises(KeyError, match="of the caller's"):
        list(embedder.embed(broken()))
    assert [part.error for part in embedder.embed([Item(text="a")])] == [None]


def test_half_a_surrogate_pair_costs_only_its_own_row(embedder: Embedder) -> None:
    first, odd, last = embedder.embed([Item(text="a"), Item(text="\ud83d"), Item(text="b")])
    assert first.vector is not None
    assert last.vector is not None
    assert (odd.vector is None) == (odd.error is not None)


def test_a_picture_in_memory_has_the_vector_of_its_file(embedder: Embedder, media: Path) -> None:
    path = media / "p1.png"
    with Image.open(path) as picture:
        one, other = embedder.embed([Item(images=(picture,)), Item(images=(str(path),))])
    assert one.vector is not None
    assert other.vector is not None
    assert np.abs(one.vector - other.vector).max() < NEAR


def test_pictures_in_memory_that_come_and_go_keep_their_own_vectors(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is let go before another is made, often in the same place in memory."""

    def pictures() -> Iterator[Item]:
        for shade in range(0, 250, 10):
            yield Item(images=(Image.new("RGB", (30, 30), (shade, 250 - shade, 0)),))

    monkeypatch.setattr(flow, "UNGIVEN", 1)
    with Embedder(tiny_model, threads=1) as embedder, no_collection():
        agree(list(embedder.embed(pictures())), list(embedder.embed(list(pictures()))))


def test_pixels_are_let_go_with_their_window(tiny_model: Model, media: Path) -> None:
    plain = Embedder(tiny_model)
    seen: list[ref[np.ndarray]] = []

    def see(reference: str) -> Pixels | Seen:
        pixels = plain.preprocessor.see(reference)
        assert isinstance(pixels, Pixels)
        seen.append(ref(pixels.patches_PK))
        return pixels

    items = [Item(text=str(n), images=(str(media / f"p{n % 3}.png"),)) for n in range(9)]
    with Embedder(tiny_model, see=see) as embedder, no_collection():
        list(embedder.embed(items))
        assert seen
        assert all(pixels() is None for pixels in seen)


def test_notes_come_with_the_vector(embedder: Embedder, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 60), color) for color in ("red", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    noted, plain = embedder.embed([Item(images=(str(tmp_path / "a.gif"),)), Item(text="a")])
    assert noted.vector is not None
    assert noted.note == "first of 2 frames"
    assert plain.note is None


def test_a_cache_may_stand_before_the_media(tiny_model: Model, media: Path) -> None:
    plain = Embedder(tiny_model)
    seen: list[object] = []

    def see(reference: str | Image.Image | Clip) -> Pixels:
        seen.append(reference)
        return plain.preprocessor.see(reference)

    items = [Item(images=(str(media / "p0.png"),)), Item(text="a")]
    agree(list(Embedder(tiny_model, see=see).embed(items)), list(plain.embed(items)))
    assert seen == [str(media / "p0.png")]


def test_it_is_an_encoder(embedder: Embedder, tiny_model: Model) -> None:
    encoder: Encoder = embedder
    assert encoder.dim == 32
    assert encoder.model_id == tiny_model.id
    assert embedder.name == "random"
    assert embedder.mixed_gallery is False
    policy = replace(tiny_model.policy, mixed_gallery=True)
    assert Embedder(replace(tiny_model, policy=policy)).mixed_gallery


def test_opened_with_other_frames_it_is_another_model(
    tiny_model: Model, tmp_path: Path, media: Path
) -> None:
    save_model(tiny_model, tmp_path / "m")
    plain = Embedder.open(str(tmp_path / "m"))
    fewer = Embedder.open(str(tmp_path / "m"), nframes=2)
    assert plain.model_id == tiny_model.id != fewer.model_id
    assert plain.name == str(tmp_path / "m")
    clip = [Item(videos=(Clip(str(media / "clip.mp4")),))]
    agree(list(plain.embed(clip)), list(Embedder(tiny_model).embed(clip)))
    (one,), (other,) = plain.embed(clip), fewer.embed(clip)
    assert one.vector is not None
    assert other.vector is not None
    assert np.abs(one.vector - other.vector).max() > 1e-3


def test_failed_rows_stack_as_zeros() -> None:
    one = np.array([0.6, 0.8], np.float32)
    matrix = stack([Embedding(one), Embedding(None, error="x"), Embedding(one)], 2)
    assert matrix.tolist() == [one.tolist(), [0, 0], one.tolist()]
    assert matrix.dtype == np.float32
    assert stack([], 7).shape == (0, 7)


def test_a_picture_opened_but_not_loaded_may_stand_in_two_items(
    embedder: Embedder, tmp_path: Path
) -> None:
    path = tmp_path / "big.png"
    values = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    Image.fromarray(values).save(path)
    (expected,) = embedder.embed([Item(images=(str(path),))])
    for _ in range(4):
        lazy = Image.open(path)
        first, second = embedder.embed(
            [Item(images=(lazy,)), Item(text="what is it", images=(lazy,))]
        )
        assert first.vector is not None
        assert second.vector is not None
        assert np.abs(first.vector - expected.vector).max() < NEAR
