from __future__ import annotations

import base64
import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unite.errors import MediaError
from unite.media.image import open_image, picture_size
from unite.media.source import Limits

from .conftest import GOLDEN, noise, save

WHITE, RED = (255, 255, 255), (255, 0, 0)


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.asarray(image).reshape(-1, 3).tolist()]


def test_an_ordinary_picture_is_what_pillow_reads(tmp_path: Path) -> None:
    array = noise(20, 30)
    picture = open_image(save(tmp_path / "a.png", array))
    assert picture.image.mode == "RGB"
    assert picture.note is None
    np.testing.assert_array_equal(np.asarray(picture.image), array)


def test_the_file_is_closed_and_the_pixels_stay(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "a.png", noise(9, 9)))
    picture = open_image(str(path))
    path.unlink()
    assert picture.image.getpixel((8, 8))


def test_a_data_uri_is_a_picture() -> None:
    data = base64.b64encode((GOLDEN / "media/small_120x90.png").read_bytes()).decode()
    picture = open_image(f"data:image/png;base64,{data}")
    assert picture.image.size == (120, 90)


def test_a_picture_in_memory_is_copied_not_changed() -> None:
    given = Image.new("RGB", (4, 4), RED)
    given.getexif()[0x0112] = 6
    before = given.tobytes()
    picture = open_image(given)
    picture.image.putpixel((0, 0), WHITE)
    assert given.tobytes() == before
    assert given.getexif()[0x0112] == 6


def test_a_single_pixel_is_a_picture(tmp_path: Path) -> None:
    assert open_image(save(tmp_path / "a.png", noise(1, 1)[:1, :1])).image.size == (1, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_upright(tmp_path: Path, orientation: int) -> None:
    # Where the stored picture's first row and column are seen (EXIF 2.32, tag 274).
    undo: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # type: ignore[type-arg]
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    array = noise(16, 24)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_image(save(tmp_path / "a.png", array, exif=exif))
    np.testing.assert_array_equal(np.asarray(picture.image), undo[orientation](array))


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize("exif", [b"XX*\0\x08\0\0\0\0\0", b"II*\0\xff"])
def test_broken_exif_costs_a_note_not_the_picture(tmp_path: Path, suffix: str, exif: bytes) -> None:
    picture = open_image(save(tmp_path / f"a.{suffix}", noise(16, 24), exif=exif))
    assert picture.image.size == (24, 16)
    assert picture.note is not None
    assert "EXIF" in picture.note


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    layer = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    layer.putpixel((1, 0), (0, 0, 0, 255))
    image = layer.convert("LA").convert(mode) if mode == "La" else layer.convert(mode)
    assert pixels(open_image(image).image) == [WHITE, (0, 0, 0)]


def test_a_palette_with_alpha_is_laid_on_white() -> None:
    image = Image.new("PA", (2, 1))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((0, 0), (0, 0))
    image.putpixel((1, 0), (1, 255))
    assert pixels(open_image(image).image) == [WHITE, RED]


def test_half_transparency_is_half_white() -> None:
    (value,) = pixels(open_image(Image.new("RGBA", (1, 1), (255, 0, 0, 128))).image)
    assert value == (255, 127, 127)


def test_transparent_colours_of_palettes_are_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "p.png", transparency=0)
    image.save(tmp_path / "q.png", transparency=bytes([0, 255]))
    for name in ("p.png", "q.png"):
        assert pixels(open_image(str(tmp_path / name)).image) == [WHITE, RED]


def test_a_transparent_colour_of_rgb_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), RED)
    image.save(tmp_path / "t.png", transparency=(1, 2, 3))
    assert pixels(open_image(str(tmp_path / "t.png")).image) == [WHITE, RED]


def test_opaque_pictures_with_alpha_keep_their_colours() -> None:
    array = noise(8, 8)
    picture = open_image(Image.fromarray(array).convert("RGBA"))
    np.testing.assert_array_equal(np.asarray(picture.image), array)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_converted_as_pillow_does(mode: str) -> None:
    image = Image.fromarray(noise(8, 8)).convert(mode)
    assert open_image(image).image.tobytes() == image.convert("RGB").tobytes()


def test_cmyk_jpeg_reads_as_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=95)
    red, green, blue = open_image(str(tmp_path / "c.jpg")).image.getpixel((8, 8))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 257 * 100, 65535]], dtype=np.uint16)
    picture = open_image(save(tmp_path / "deep.png", deep))
    assert [value[0] for value in pixels(picture.image)] == [0, 0, 100, 255]
    assert picture.note is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100, 255]], dtype=np.int32), [0, 100, 255]),
        (np.array([[0, 25700, 65535]], dtype=np.int32), [0, 100, 255]),
        (np.array([[0, 1000000, 2000000]], dtype=np.int32), [0, 128, 255]),
        (np.array([[-1, 0.5, 1.0]], dtype=np.float32), [0, 128, 255]),
        (np.array([[np.nan, 100, 255]], dtype=np.float32), [0, 100, 255]),
    ],
)
def test_the_range_of_other_deep_values_is_guessed_and_noted(
    values: np.ndarray,  # type: ignore[type-arg]
    expected: list[int],
) -> None:
    picture = open_image(Image.fromarray(values))
    assert [value[0] for value in pixels(picture.image)] == expected
    assert picture.note is not None
    assert picture.note.startswith("grey values taken as 0 to")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE, (0, 0, 255))]
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    picture = open_image(str(path))
    assert pixels(picture.image)[0] == RED
    assert picture.note == "first of 3 frames"


def test_an_animation_cut_after_its_first_frame_still_shows_it(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(32, 32, seed)) for seed in range(5)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    assert (open_image(str(path)).note or "").startswith("first of")


def test_previews_of_a_phones_jpeg_are_not_an_animation(tmp_path: Path) -> None:
    first, second = (Image.fromarray(noise(16, 16, seed)) for seed in (0, 1))
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])
    assert open_image(str(tmp_path / "a.mpo")).note is None


def test_a_truncated_jpeg_is_an_error(tmp_path: Path) -> None:
    whole = (GOLDEN / "media/photo_500x333.jpg").read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"cut\.jpg cannot be decoded.*truncated.*whole"):
        open_image(str(path))


def test_a_truncated_picture_in_memory_is_an_error(tmp_path: Path) -> None:
    whole = (GOLDEN / "media/photo_500x333.jpg").read_bytes()
    with pytest.raises(MediaError, match="The picture cannot be decoded"):
        open_image(Image.open(io.BytesIO(whole[: len(whole) // 2])))


def test_text_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("not a picture")
    with pytest.raises(MediaError, match="no picture of a known format"):
        open_image(str(path))


def test_a_clip_is_no_picture() -> None:
    with pytest.raises(MediaError, match="as a video"):
        open_image(str(GOLDEN / "media/clip_2s_320x240_24fps.mp4"))


def test_postscript_is_not_run(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    with pytest.raises(MediaError, match="not run"):
        open_image(str(tmp_path / "a.eps"))


def test_a_strip_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((10, 10000, 3), np.uint8))
    with pytest.raises(MediaError, match="strip"):
        open_image(path)


def test_pixels_are_limited_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise(40, 40))
    with pytest.raises(MediaError, match="40×40 pixels; at most 1,000"):
        open_image(path, Limits(max_pixels=1000))
    with pytest.raises(MediaError, match="at most 1,000"):
        open_image(Image.new("RGB", (40, 40)), Limits(max_pixels=1000))


@pytest.mark.parametrize("ceiling", [1000, 500])
def test_pillows_own_bomb_limit_is_a_media_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ceiling: int
) -> None:
    path = save(tmp_path / "a.png", noise(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", ceiling)  # a warning at 1000, an error at 500
    with pytest.raises(MediaError, match="too large"):
        open_image(path)


def test_warning_filters_are_left_alone(tmp_path: Path) -> None:
    # They belong to the whole process: a server opens pictures in several threads.
    path = save(tmp_path / "a.png", noise(8, 8))
    with warnings.catch_warnings():
        before = list(warnings.filters)
        open_image(path)
        assert warnings.filters == before


@pytest.mark.filterwarnings("default")  # Pillow warns of damage that it can live with
@pytest.mark.parametrize("name", ["photo_500x333.jpg", "small_120x90.png", "a.gif", "a.webp"])
def test_damaged_files_are_opened_or_refused(tmp_path: Path, name: str) -> None:
    path = GOLDEN / "media" / name
    if not path.exists():
        path = tmp_path / name
        Image.fromarray(noise(40, 60)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for at in rng.integers(0, len(data), 4):
            data[at] = rng.integers(0, 256)
        (tmp_path / "damaged").write_bytes(data)
        try:
            picture = open_image(str(tmp_path / "damaged"), Limits(max_pixels=10**6))
        except MediaError:
            refused += 1
        else:
            assert picture.image.mode == "RGB"
    assert 0 < refused <= 60


def test_importing_needs_neither_torch_nor_av() -> None:
    code = (
        "import sys, unite.media.image, unite.media.pixels, unite.media.video;"
        "print({'torch', 'av'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.strip() == "set()"


def test_an_animation_cut_anywhere_is_a_picture_or_an_error(tmp_path: Path) -> None:
    frames = [Image.new("P", (16, 16), number) for number in range(3)]
    held = io.BytesIO()
    frames[0].save(held, "GIF", save_all=True, append_images=frames[1:])
    whole, path = held.getvalue(), tmp_path / "cut.gif"
    kept = 0
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        try:
            kept += open_image(str(path)).image.size == (16, 16)
        except MediaError:
            continue
    assert kept > 0


def test_what_a_plugin_fails_with_is_an_error_of_the_picture(tmp_path: Path) -> None:
    Image.fromarray(noise(16, 16)).quantize(16).save(tmp_path / "p.icns")
    with pytest.raises(MediaError, match="cannot be decoded"):
        open_image(str(tmp_path / "p.icns"))


def test_whatever_a_plugin_raises_while_opening_is_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.ftu").write_bytes(b"FTEX" + bytes(200))  # fails an assertion of Pillow
    for ask in (open_image, picture_size):
        with pytest.raises(MediaError, match=r"a\.ftu cannot be decoded as a picture"):
            ask(str(tmp_path / "a.ftu"))
