"""Stills of phones; tests/data/heic/make.py made the files and says what they show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from unite.errors import MediaError
from unite.media.image import open_image, picture_size

from .conftest import HEIC

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (40, 60, 220), (240, 240, 240)
FIELDS = [[RED, GREEN], [BLUE, WHITE]]


@pytest.mark.parametrize("name", ["plain", "ten_bits", "second_of_two", "alpha"])
def test_the_main_picture_is_seen_in_its_colours(name: str) -> None:
    path = str(HEIC / f"{name}.heic")
    picture = open_image(path)
    assert picture_size(path) == (64, 96)
    right = ((255, 255, 255), (255, 255, 255)) if name == "alpha" else (GREEN, WHITE)
    _shows(np.asarray(picture.image), [[RED, right[0]], [BLUE, right[1]]])
    assert picture.note == ("main one of 2 frames" if name == "second_of_two" else None)


def test_a_phone_held_upright_is_turned_once() -> None:
    path = str(HEIC / "turned.heic")
    assert picture_size(path) == (64, 96)
    _shows(np.asarray(open_image(path).image), FIELDS)


def test_a_phones_tiles_are_joined() -> None:
    path = str(HEIC / "tiled.heic")
    assert picture_size(path) == (128, 128)
    _shows(np.asarray(open_image(path).image), FIELDS)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.JPG"  # as some programs save what a phone gave them
    path.write_bytes((HEIC / "plain.heic").read_bytes())
    _shows(np.asarray(open_image(str(path)).image), FIELDS)


@pytest.mark.parametrize("word", [b"Exif", b"application/rdf+xml"])
def test_an_item_named_by_no_text_is_an_error_and_not_the_end(tmp_path: Path, word: bytes) -> None:
    data = (HEIC / "turned.heic").read_bytes()
    assert word in data
    path = tmp_path / "a.heic"
    path.write_bytes(data.replace(word, b"\xff" + word[1:], 1))
    with pytest.raises(MediaError, match="damaged"):
        open_image(str(path))


@pytest.mark.parametrize("size", [0, 1, 8])
def test_an_item_of_a_size_that_nobody_writes_hides_nothing(tmp_path: Path, size: int) -> None:
    data = bytearray((HEIC / "turned.heic").read_bytes().replace(b"Exif", b"\xffxif", 1))
    start = data.index(b"\xffxif") - 16
    assert data[start + 4 : start + 8] == b"infe"
    data[start : start + 4] = size.to_bytes(4)
    (tmp_path / "a.heic").write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        open_image(str(tmp_path / "a.heic"))


@pytest.mark.filterwarnings("ignore:(Truncated|Corrupt)")  # EXIF data, from Pillow
def test_damage_is_an_error_or_a_picture(tmp_path: Path) -> None:
    path, found = tmp_path / "a.heic", Counter[str]()
    sources = [file.read_bytes() for file in sorted(HEIC.glob("*.heic"))]
    for seed in range(300):
        rng = np.random.default_rng(seed)
        data = bytearray(sources[seed % len(sources)])
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        path.write_bytes(data[: None if seed % 5 else rng.integers(0, len(data))])
        try:
            open_image(str(path))
        except MediaError:
            found["error"] += 1
        else:
            found["picture"] += 1
    assert min(found["picture"], found["error"]) > 30


def _shows(pixels_HWC: np.ndarray, fields: list[list[tuple[int, int, int]]]) -> None:  # type: ignore[type-arg]
    height, width = (side // 2 for side in pixels_HWC.shape[:2])
    for row, of in enumerate(fields):
        for column, colour in enumerate(of):
            top, left = row * height, column * width
            field = pixels_HWC[top + 4 : top + height - 4, left + 4 : left + width - 4]
            np.testing.assert_allclose(field.reshape(-1, 3).mean(axis=0), colour, atol=4)
