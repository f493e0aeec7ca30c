from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unite.errors import ItemError, MediaError, PromptError, TooLongError
from unite.media.pixels import normalise
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.model.preprocess import FOREIGN, Features, Pixels, Preprocessor, media_of, see
from unite.model.tokenizer import END, IMAGE_PAD, VIDEO_PAD, token_id
from unite.prompts import render
from unite.types import Clip, Item


@pytest.fixture(scope="module")
def preprocessor(tiny_model: Model) -> Preprocessor:
    return Preprocessor(tiny_model.tokenizer, tiny_model.policy)


def test_each_merged_patch_has_its_token(
    preprocessor: Preprocessor, media: Path, tiny_model: Model
) -> None:
    item = Item(
        text="from <|IMAGE|> to <|IMAGE|>",
        images=(str(media / "p0.png"), str(media / "p1.png")),
        videos=(Clip(str(media / "clip.mp4")),),
    )
    features = preprocessor(item)
    ids_L = features.input_ids_L
    for token, kinds in ((IMAGE_PAD, slice(1, 3)), (VIDEO_PAD, slice(0, 1))):
        count = int((ids_L == token_id(tiny_model.tokenizer, token)).sum())
        assert count == sum(np.prod(medium.grid) // 4 for medium in features.pixels[kinds])
    assert [medium.grid[0] for medium in features.pixels] == [2, 1, 1]  # in order of appearance
    for medium in features.pixels:
        assert medium.patches_PK.shape == (np.prod(medium.grid), 3 * 2 * 14 * 14)
        assert medium.patches_PK.dtype == np.uint8
    assert ids_L[-1] == token_id(tiny_model.tokenizer, END)


def test_text_alone_is_the_tokens_of_its_prompt(preprocessor: Preprocessor) -> None:
    item = Item(text="a red boat", instruction="find")
    expected = preprocessor.tokenizer.encode(render(item).text, add_special_tokens=False).ids
    features = preprocessor(item)
    assert features.input_ids_L.tolist() == expected
    assert features.pixels == ()
    assert features.note is None


def test_the_longest_input_is_taken_and_one_token_more_refused(
    preprocessor: Preprocessor, tiny_model: Model, media: Path
) -> None:
    for item in (Item(text="a boat " * 9), Item(images=(str(media / "p0.png"),) * 3)):
        length = len(preprocessor(item).input_ids_L)
        policy = replace(tiny_model.policy, max_tokens=length)
        Preprocessor(tiny_model.tokenizer, policy)(item)
        policy = replace(policy, max_tokens=length - 1)
        with pytest.raises(
            TooLongError, match=f"needs {length} tokens; the model takes {length - 1}"
        ):
            Preprocessor(tiny_model.tokenizer, policy)(item)


def test_media_that_cannot_be_read_are_named(preprocessor: Preprocessor, media: Path) -> None:
    for name in ("broken.png", "none.png"):
        with pytest.raises(MediaError, match=name):
            preprocessor(Item(images=(str(media / name),)))
    for name in ("broken.mp4", "none.mp4", "p0.png.mp4"):
        with pytest.raises(MediaError, match=name):
            preprocessor(Item(videos=(Clip(str(media / name)),)))


def test_text_and_media_that_do_not_fit(preprocessor: Preprocessor, media: Path) -> None:
    with pytest.raises(PromptError):
        preprocessor(Item(text="<|IMAGE|><|IMAGE|>", images=(str(media / "p0.png"),)))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "x\x00y", "\ufffe"])
def test_text_of_any_characters_is_taken_or_refused(preprocessor: Preprocessor, text: str) -> None:
    """JSON may hold half a surrogate pair, which no tokenizer takes."""
    with contextlib.suppress(ItemError):
        assert len(preprocessor(Item(text=text)).input_ids_L) > 10


def test_limits_are_kept(tiny_model: Model, media: Path) -> None:
    strict = Preprocessor(tiny_model.tokenizer, tiny_model.policy, Limits(max_pixels=100))
    with pytest.raises(MediaError, match="at most 100 are opened"):
        strict(Item(images=(str(media / "p0.png"),)))


def test_notes_tell_what_happened(preprocessor: Preprocessor, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 60), color) for color in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    plain = tmp_path / "b.png"
    frames[0].save(plain)
    gif = str(tmp_path / "a.gif")
    assert preprocessor(Item(images=(gif,))).note == "first of 3 frames"
    assert (
        preprocessor(Item(images=(gif, str(plain), gif))).note
        == "first of 3 frames; first of 3 frames"
    )


def test_a_small_world_model_says_what_is_not_of_its_world(tiny_model: Model, media: Path) -> None:
    policy = replace(tiny_model.policy, small_world=True)
    assert see(str(media / "p0.png"), policy).note == FOREIGN
    assert see(Image.new("RGB", (56, 56)), policy).note is None
    assert see(Image.new("RGB", (56, 56)), tiny_model.policy).note is None


def test_batches_are_padded_on_the_right(preprocessor: Preprocessor, media: Path) -> None:
    items = [
        Item(text="a"),
        Item(text="b c d", images=(str(media / "p1.png"),)),
        Item(videos=(Clip(str(media / "clip.mp4")),), images=(str(media / "p0.png"),)),
    ]
    features = [preprocessor(item) for item in items]
    batch = preprocessor.collate(features)
    lengths = [len(part.input_ids_L) for part in features]
    assert batch["length_B"].tolist() == lengths
    assert batch["input_ids_BL"].shape == (3, max(lengths))
    end = token_id(preprocessor.tokenizer, END)
    for row, part in zip(batch["input_ids_BL"].tolist(), features, strict=True):
        length = len(part.input_ids_L)
        assert row[:length] == part.input_ids_L.tolist()
        assert set(row[length:]) <= {end}
    media_in_order = [medium for part in features for medium in part.pixels]
    assert batch["grids"] == [medium.grid for medium in media_in_order]
    expected = [
        normalise(medium.patches_PK, preprocessor.policy.pixels) for medium in media_in_order
    ]
    assert batch["patches_PK"].dtype == torch.float32
    assert np.array_equal(batch["patches_PK"].numpy(), np.concatenate(expected))


def test_a_batch_of_text_has_no_patches(preprocessor: Preprocessor) -> None:
    batch = preprocessor.collate([preprocessor(Item(text="a"))])
    assert batch["patches_PK"] is None
    assert batch["grids"] == []


def test_another_source_of_pixels_may_stand_in(preprocessor: Preprocessor, media: Path) -> None:
    seen: list[object] = []

    def remember(reference: str | Image.Image | Clip) -> Pixels:
        seen.append(reference)
        return preprocessor.see(reference)

    item = Item(images=(str(media / "p0.png"),), videos=(Clip(str(media / "clip.mp4"), 0.5),))
    there: Features = preprocessor(item, remember)
    assert seen == [item.images[0], item.videos[0]]
    assert there.input_ids_L.tolist() == preprocessor(item).input_ids_L.tolist()


def test_a_picture_in_memory_is_seen_as_its_file_is(
    preprocessor: Preprocessor, media: Path
) -> None:
    path = media / "p2.png"
    with Image.open(path) as picture:
        one = preprocessor.see(picture)
    assert np.array_equal(one.patches_PK, preprocessor.see(str(path)).patches_PK)


def test_all_media_of_items_are_listed() -> None:
    picture = Image.new("RGB", (4, 4))
    items = [
        Item(images=("a", picture, "b")),
        Item(text="t"),
        Item(images=("c",), videos=(Clip("v"),)),
    ]
    assert list(media_of(items)) == ["a", "b", "c", Clip("v")]


def test_clips_give_up_frames_to_fit(tiny_model: Model, media: Path) -> None:
    clip, picture = Clip(str(media / "clip.mp4")), str(media / "p0.png")
    policy = tiny_model.policy.with_frames(nframes=12)
    whole = Preprocessor(tiny_model.tokenizer, policy)
    for item in (
        Item(videos=(clip,)),
        Item(text="between <|VIDEO|> and <|VIDEO|>", videos=(clip, clip), images=(picture,)),
    ):
        length = len(whole(item).input_ids_L)
        shorter = replace(policy, max_tokens=length - 1)
        with pytest.raises(TooLongError, match="--fit"):
            Preprocessor(tiny_model.tokenizer, shorter)(item)
        features = Preprocessor(tiny_model.tokenizer, shorter, fit=True)(item)
        slices = [medium.grid[0] for medium in features.pixels if medium.grid[0] > 1]
        assert slices == [5] * len(item.videos)
        _, rows, columns = next(part.grid for part in features.pixels if part.grid[0] > 1)
        assert len(features.input_ids_L) == length - rows * columns // 4 * len(item.videos)
        assert "10 frames, to fit" in str(features.note)
        wanted = see(clip, policy.with_frames(nframes=10))
        clips = [medium for medium in features.pixels if medium.grid[0] > 1]
        assert all((medium.patches_PK == wanted.patches_PK).all() for medium in clips)


def test_what_fits_or_never_will_is_left_alone(tiny_model: Model, media: Path) -> None:
    item = Item(videos=(Clip(str(media / "clip.mp4")),))
    plain = Preprocessor(tiny_model.tokenizer, tiny_model.policy)(item)
    fitted = Preprocessor(tiny_model.tokenizer, tiny_model.policy, fit=True)(item)
    assert (fitted.input_ids_L == plain.input_ids_L).all()
    assert fitted.note == plain.note
    tight = replace(tiny_model.policy, max_tokens=9)
    with pytest.raises(TooLongError, match=f"needs {len(plain.input_ids_L)} tokens") as found:
        Preprocessor(tiny_model.tokenizer, tight, fit=True)(item)
    assert "--fit" not in str(found.value)  # it was asked for already, and helps no text
    with pytest.raises(TooLongError, match="several items") as found:
        Preprocessor(tiny_model.tokenizer, tight)(Item(text="a red star " * 9))
    assert "--fit" not in str(found.value)
