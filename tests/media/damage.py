"""Damaged media, the same for the same seed: what disks, downloads and wrong names make of files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from unite.types import Clip

from .conftest import HEIC, noise, save, write_clip

Damage = Callable[[bytearray, np.random.Generator], bytearray]
PICTURES = ("png", "jpg", "gif", "webp", "heic")
CLIPS = ("mp4", "mkv", "webm")
_HEADER = 1500
"""Bytes in which headers and indices lie, at either end."""


def sound_media(folder: Path) -> list[Path]:
    """A whole file of each kind; of MP4 one with its index ahead and one with it behind."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HEIC / "turned.heic", folder / "a.heic")
    for kind in PICTURES[:-1]:
        more = {"save_all": True, "append_images": []} if kind == "gif" else {}
        save(folder / f"a.{kind}", noise(60, 80), **more)
    write_clip(folder / "a.mp4")
    write_clip(folder / "b.mp4", container_options={"movflags": "faststart"})
    write_clip(folder / "a.mkv")
    write_clip(folder / "a.webm", codec="libvpx-vp9", options={"deadline": "realtime"})
    (folder / "a.txt").write_text("Neither a picture nor a clip.\n" * 20, encoding="utf-8")
    return sorted(folder.iterdir())


def reference(path: Path) -> str | Clip:
    """What the name promises: a picture or a clip."""
    return str(path) if path.suffix[1:] in PICTURES else Clip(str(path))


def damaged_media(
    sound: list[Path], folder: Path, count: int, seed: int
) -> Iterator[tuple[Path, Path]]:
    """Write damaged copies, with the file that each was made of."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        source = sound[number % len(sound)]
        data = bytearray(source.read_bytes())
        renamed = source.suffix == ".txt" or rng.random() < 0.15
        if not renamed or rng.random() < 0.3:
            for _ in range(rng.integers(1, 4)):
                data = DAMAGES[rng.integers(len(DAMAGES))](data, rng)
        kinds = [kind for kind in PICTURES + CLIPS if f".{kind}" != source.suffix]
        suffix = f".{kinds[rng.integers(len(kinds))]}" if renamed else source.suffix
        path = folder / f"{number}{suffix}"
        path.write_bytes(data)
        yield path, source


def copies(path: Path, folder: Path, count: int) -> list[Path]:
    """The same file under several names."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        Path(shutil.copy(path, folder / f"{path.stem}{number}{path.suffix}"))
        for number in range(count)
    ]


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for at in rng.integers(0, max(1, len(data)), rng.integers(1, 20)):
        if data:
            data[at] = rng.integers(256)
    return data


def _flip_head(data: bytearray, rng: np.random.Generator) -> bytearray:
    return _flip(data[:_HEADER], rng) + data[_HEADER:]


def _flip_tail(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[:-_HEADER] + _flip(data[-_HEADER:], rng)


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: rng.integers(0, len(data) + 1)]


def _zero(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, end = _span(data, rng)
    data[first:end] = bytes(end - first)
    return data


def _double(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, end = _span(data, rng)
    return data[:end] + data[first:end] + data[end:]


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    first, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return first, end


DAMAGES: tuple[Damage, ...] = (_flip, _flip_head, _flip_tail, _cut, _zero, _double)
