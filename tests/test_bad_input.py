"""Bad and odd media through the whole path: what one item costs, what it says, who else notices.

Every case is a real file. Clips are coded without loss and without prediction, so that a frame
is what was written, and a file can be cut at the frame that is meant.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from unite.embedder import Embedder
from unite.errors import MediaError
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.model.preprocess import Preprocessor
from unite.types import Clip, Embedding, Item

Bytes = npt.NDArray[np.uint8]

NEAR, FAR = 1e-5, 1e-3
LOSSLESS = {"qp": "0", "preset": "ultrafast", "threads": "1"}
MILLISECOND = Fraction(1, 1000)
TIMES = (0, 40, 80, 120, 500, 1000, 1500, 2500, 3500, 4500, 5000, 5500)
"""Of a clip of varying rate, in milliseconds: 12 frames in 6 seconds."""


def blocks(seed: int = 0) -> Bytes:
    """32 rows, 48 columns, six blocks of one colour each: even JPEG keeps them to the bit."""
    colours = np.random.default_rng(seed).integers(0, 256, (2, 3, 3), np.uint8)
    return colours.repeat(16, axis=0).repeat(16, axis=1)


def frames(count: int) -> list[Bytes]:
    return [blocks(number) for number in range(count)]


def picture(pixels: npt.NDArray[np.uint8]) -> Item:
    """A picture in memory, to compare with."""
    return Item(images=(Image.fromarray(pixels),))


def write_clip(
    path: Path,
    pictures: Sequence[Bytes],
    *,
    rate: int = 10,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    index_first: bool = True,
) -> Item:
    """An MP4; `times` are milliseconds."""
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream("libx264rgb", rate=rate, options=LOSSLESS)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.gop_size = "rgb24", 1
        if times is not None:
            stream.codec_context.time_base = MILLISECOND
        if rotation:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], MILLISECOND
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return Item(videos=(Clip(str(path)),))


def part(item: Item, start: float | None, end: float | None) -> Item:
    return Item(videos=(replace(item.videos[0], start=start, end=end),))


def cut_clip(path: Path, left: int, of: int = 60) -> Item:
    """A clip that breaks off amid the frame after those that are left."""
    item = write_clip(path, frames(of))
    with av.open(str(path)) as file:
        places = [packet.pos for packet in file.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[left] + 20])
    return item


def write_sound(path: Path) -> Item:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return Item(videos=(Clip(str(path)),))


def write_bomb(path: Path, side: int = 20_000) -> Item:
    """A PNG of 50 kB that holds 400 million pixels of one bit."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    rows = zlib.compress(bytes(side * (1 + side // 8)), 1)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return Item(images=(str(path),))


def write_bytes(path: Path, content: bytes | None) -> Item:
    """A file of some bytes; None leaves it missing."""
    if content is not None:
        path.write_bytes(content)
    if path.suffix == ".mp4":
        return Item(videos=(Clip(str(path)),))
    return Item(images=(str(path),))


def write_picture(path: Path, pixels: npt.NDArray[np.uint8]) -> Item:
    Image.fromarray(pixels).save(path)
    return Item(images=(str(path),))


def cut_jpeg(path: Path) -> Item:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    return write_bytes(path, whole.getvalue()[: len(whole.getvalue()) // 2])


def without_index(path: Path) -> Item:
    """An MP4 that was never finished."""
    item = write_clip(path, frames(12), index_first=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"moov") - 4])
    return item


def half_an_index(path: Path) -> Item:
    item = write_clip(path, frames(12))
    path.write_bytes(path.read_bytes()[:200])
    return item


@dataclass(frozen=True, slots=True)
class Bad:
    """A file that gives no vector, and what is said of it after its name."""

    name: str
    write: Callable[[Path], Item]
    says: str


BAD = (
    Bad("missing.png", lambda path: write_bytes(path, None), "cannot be opened: No such file"),
    Bad("missing.mp4", lambda path: write_bytes(path, None), "cannot be opened: No such file"),
    Bad("empty.jpg", lambda path: write_bytes(path, b""), "is empty"),
    Bad("empty.mp4", lambda path: write_bytes(path, b""), "is empty"),
    Bad("cut.jpg", cut_jpeg, "cannot be decoded as a picture: .*truncated"),
    Bad("bomb.png", write_bomb, r"is too large: .*400000000 pixels.*limit of 178956970"),
    Bad(
        "strip.png",
        lambda path: write_picture(path, np.zeros((10, 10_000, 3), np.uint8)),
        "is a strip of 10000×10 pixels; at most 200:1",
    ),
    Bad(
        "strip.mp4",
        lambda path: write_clip(path, [np.zeros((16, 3232, 3), np.uint8)] * 4),
        "is a strip of 3232×16 pixels; at most 200:1",
    ),
    Bad("sound.mp4", write_sound, r"has no video stream\. Is it sound only"),
    Bad("no_index.mp4", without_index, "cannot be opened as a video"),
    Bad("half_an_index.mp4", half_an_index, r"has no video stream\. Is it whole"),
    Bad("no_frames.mp4", lambda path: cut_clip(path, 0), "has no frames"),
    Bad(
        "too_short.mp4",
        lambda path: cut_clip(path, 3),
        "breaks off: 3 of 60 frames are there",
    ),
    Bad(
        "cut_before_part.mp4",
        lambda path: part(cut_clip(path, 30), 4.0, 5.0),
        r"lasts 3\.00 s; the part from 4 s to 5 s is not in it",
    ),
    Bad(
        "no_length.mp4",
        lambda path: part(write_clip(path, frames(12)), 0.5, 0.5),
        r"lasts 1\.20 s; the part from 0\.5 s to 0\.5 s is not in it",
    ),
    Bad(
        "no_length_at_0.mp4",
        lambda path: part(write_clip(path, frames(12)), 0.0, 0.0),
        r"lasts 1\.20 s; the part from 0 s to 0 s is not in it",
    ),
    Bad(
        "beyond.mp4",
        lambda path: part(write_clip(path, frames(12)), 1.2, 2.0),
        r"lasts 1\.20 s; the part from 1\.2 s to 2 s is not in it",
    ),
    Bad(
        "open_beyond.mp4",
        lambda path: part(write_clip(path, frames(12)), 9.0, None),
        r"lasts 1\.20 s; the part from 9 s",
    ),
)


@dataclass(frozen=True, slots=True)
class Odd:
    """A file that gives a vector: that of a plain medium, not of what a careless reader sees."""

    item: Item
    like: Item
    unlike: Item
    note: str | None = None


def single_pixel(folder: Path) -> Odd:
    item = write_picture(folder / "pixel.png", blocks()[:1, :1])
    return Odd(item, picture(blocks()[:16, :16]), picture(blocks()[-16:, -16:]))


def animated_gif(folder: Path) -> Odd:
    path = folder / "animated.gif"
    first, *more = [Image.fromarray(pixels) for pixels in frames(3)]
    first.save(path, save_all=True, append_images=more)
    item = Item(images=(str(path),))
    return Odd(item, picture(blocks(0)), picture(blocks(2)), "first of 3 frames")


def cmyk_jpeg(folder: Path) -> Odd:
    path = folder / "cmyk.jpg"
    Image.fromarray(blocks()).convert("CMYK").save(path, quality=100, subsampling=0)
    with Image.open(path) as stored:
        assert stored.mode == "CMYK"
    return Odd(Item(images=(str(path),)), picture(blocks()), picture(255 - blocks()))


def deep_png(folder: Path) -> Odd:
    path = folder / "deep.png"
    grey_HW = blocks()[..., 0]
    Image.fromarray(grey_HW.astype(np.uint16) * 257).save(path)
    with Image.open(path) as stored:
        assert stored.mode == "I;16"
    clipped_HW = np.where(grey_HW > 0, 255, 0).astype(np.uint8)
    return Odd(Item(images=(str(path),)), picture(grey_HW), picture(clipped_HW))


def turned_jpeg(folder: Path) -> Odd:
    path, exif = folder / "turned.jpg", Image.Exif()
    exif[0x0112] = 6  # the first row is seen on the right
    Image.fromarray(blocks()).save(path, exif=exif, quality=100, subsampling=0, keep_rgb=True)
    item = Item(images=(str(path),))
    return Odd(item, picture(np.rot90(blocks(), -1).copy()), picture(blocks()))


def cut_mp4(folder: Path) -> Odd:
    return Odd(
        cut_clip(folder / "cut.mp4", 30),
        write_clip(folder / "cut_like.mp4", frames(30)),
        write_clip(folder / "cut_whole.mp4", frames(60)),
        "cut short or damaged: 30 of 60 frames",
    )


def cut_mp4_at_the_minimum(folder: Path) -> Odd:
    return Odd(
        cut_clip(folder / "least.mp4", 4),
        write_clip(folder / "least_like.mp4", frames(4)),
        write_clip(folder / "least_whole.mp4", frames(60)),
        "cut short or damaged: 4 of 60 frames",
    )


def part_of_a_cut_mp4(folder: Path) -> Odd:
    return Odd(
        part(cut_clip(folder / "part.mp4", 30), 1.0, 2.0),
        write_clip(folder / "part_like.mp4", frames(20)[10:]),
        write_clip(folder / "part_start.mp4", frames(10)),
        "cut short or damaged: 30 of 60 frames",
    )


def varying_rate(folder: Path) -> Odd:
    """All of it: frames are spread by number, and their count goes by the length."""
    pictures = frames(len(TIMES))
    return Odd(
        write_clip(folder / "varying.mp4", pictures, times=TIMES),
        write_clip(folder / "varying_like.mp4", pictures, rate=2),
        write_clip(folder / "varying_fast.mp4", pictures, rate=10),
    )


def part_of_varying_rate(folder: Path) -> Odd:
    """From 0.6 s to 1.6 s the frames of 0.5, 1 and 1.5 s are shown, not those by mean rate."""
    pictures = frames(len(TIMES))
    return Odd(
        part(write_clip(folder / "varying_part.mp4", pictures, times=TIMES), 0.6, 1.6),
        write_clip(folder / "varying_part_like.mp4", pictures[4:7]),
        write_clip(folder / "varying_part_mean.mp4", pictures[1:4]),
    )


def turned_clip(folder: Path) -> Odd:
    pictures = frames(12)
    return Odd(
        write_clip(folder / "turned.mp4", pictures, rotation=90),
        write_clip(folder / "turned_like.mp4", [np.rot90(pixels) for pixels in pictures]),
        write_clip(folder / "turned_stored.mp4", pictures),
    )


ODD = (
    single_pixel,
    animated_gif,
    cmyk_jpeg,
    deep_png,
    turned_jpeg,
    cut_mp4,
    cut_mp4_at_the_minimum,
    part_of_a_cut_mp4,
    varying_rate,
    part_of_varying_rate,
    turned_clip,
)


@pytest.fixture(scope="module")
def embedder(tiny_model: Model) -> Embedder:
    """The tiny model with the published choice of frames: one a second, 4 to 12."""
    policy = tiny_model.policy.with_frames(fps=1.0)
    assert policy.frames.min_frames == 4
    return Embedder(replace(tiny_model, policy=policy))


@pytest.fixture(scope="module")
def good(media: Path) -> list[Item]:
    """A neighbour of each kind."""
    return [
        Item(text="a red boat"),
        Item(images=(str(media / "p0.png"),)),
        Item(text="near the lighthouse", videos=(Clip(str(media / "clip.mp4")),)),
    ]


@pytest.fixture(scope="module")
def alone(embedder: Embedder, good: list[Item]) -> list[Embedding]:
    return [one(embedder, item) for item in good]


def one(embedder: Embedder, item: Item) -> Embedding:
    (found,) = embedder.embed([item])
    return found


def distance(left: Embedding, right: Embedding) -> float:
    assert left.vector is not None, left.error
    assert right.vector is not None, right.error
    return float(np.abs(left.vector - right.vector).max())


def among(embedder: Embedder, item: Item, good: list[Item], alone: list[Embedding]) -> Embedding:
    """What becomes of an item in one batch with good ones, which must not notice it."""
    first, found, *others = embedder.embed([good[0], item, *good[1:]])
    for neighbour, expected in zip([first, *others], alone, strict=True):
        assert (neighbour.error, neighbour.note) == (None, None)
        assert distance(neighbour, expected) <= NEAR
    return found


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_file_is_named_and_costs_only_its_row(
    embedder: Embedder, good: list[Item], alone: list[Embedding], tmp_path: Path, bad: Bad
) -> None:
    path = tmp_path / bad.name
    item = bad.write(path)
    found = among(embedder, item, good, alone)
    assert (found.vector, found.note) == (None, None)
    assert found.error is not None
    assert re.match(f"{re.escape(str(path))} {bad.says}", found.error)
    with pytest.raises(MediaError) as caught:
        embedder.preprocessor(item)
    assert str(caught.value) == found.error
    assert caught.value.remedy


@pytest.mark.parametrize("write", ODD, ids=lambda write: write.__name__)
def test_an_odd_file_is_seen_as_it_is_meant(
    embedder: Embedder,
    good: list[Item],
    alone: list[Embedding],
    tmp_path: Path,
    write: Callable[[Path], Odd],
) -> None:
    odd = write(tmp_path)
    found = among(embedder, odd.item, good, alone)
    assert (found.error, found.note) == (None, odd.note)
    assert distance(found, one(embedder, odd.like)) <= NEAR
    assert distance(found, one(embedder, odd.unlike)) > FAR


def test_all_of_them_in_one_batch(
    embedder: Embedder, good: list[Item], alone: list[Embedding], tmp_path: Path
) -> None:
    bad = [case.write(tmp_path / case.name) for case in BAD]
    odd = [write(tmp_path) for write in ODD]
    items = [good[0], *bad, good[1], *(case.item for case in odd), good[2]]
    found = list(embedder.embed(items))
    assert len(found) == len(items)
    for row, expected in zip((0, len(bad) + 1, -1), alone, strict=True):
        assert distance(found[row], expected) <= NEAR
    for case, refused in zip(BAD, found[1 : len(bad) + 1], strict=True):
        assert str(tmp_path / case.name) in (refused.error or "")
    for meant, seen in zip(odd, found[len(bad) + 2 : -1], strict=True):
        assert (seen.error, seen.note) == (None, meant.note)
        assert distance(seen, one(embedder, meant.item)) <= NEAR


def test_of_several_media_the_bad_one_is_named(
    embedder: Embedder, media: Path, tmp_path: Path
) -> None:
    clips = (Clip(str(media / "clip.mp4")), Clip(str(tmp_path / "missing.mp4")))
    error = one(embedder, Item(images=(str(media / "p0.png"),), videos=clips)).error or ""
    assert "missing.mp4" in error
    assert "p0.png" not in error
    assert "clip.mp4" not in error


def under(embedder: Embedder, limits: Limits) -> Embedder:
    """The same embedder with other limits."""
    model = embedder.model
    return Embedder(model, see=Preprocessor(model.tokenizer, model.policy, limits).see)


def test_the_limit_of_pixels_is_set_by_limits(embedder: Embedder, tmp_path: Path) -> None:
    for item in (
        write_picture(tmp_path / "a.png", blocks()),
        write_clip(tmp_path / "a.mp4", frames(4)),
    ):
        error = one(under(embedder, Limits(max_pixels=32 * 48 - 1)), item).error or ""
        assert re.search(r"a\.(png|mp4) has 48×32 pixels; at most 1,535 are opened", error)
        found = one(under(embedder, Limits(max_pixels=32 * 48)), item)
        assert distance(found, one(embedder, item)) <= NEAR


def test_beyond_pillows_own_limit_it_is_still_limits_that_decide(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = write_bomb(tmp_path / "bomb.png")
    small = write_picture(tmp_path / "small.png", blocks())
    expected = one(embedder, small)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # refuses above twice as many
    assert "PIL.Image.MAX_IMAGE_PIXELS" in (one(embedder, small).error or "")
    high = under(embedder, Limits(max_pixels=10**9))
    assert distance(one(high, small), expected) <= NEAR
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    error = one(embedder, bomb).error or ""
    assert "bomb.png has 20000×20000 pixels; at most 178,956,970 are opened" in error


def test_the_limit_of_a_strip_is_set_by_limits(embedder: Embedder, tmp_path: Path) -> None:
    strip = write_picture(tmp_path / "strip.png", np.full((10, 10_000, 3), 90, np.uint8))
    assert one(embedder, strip).vector is None
    assert one(under(embedder, Limits(max_aspect=1000)), strip).vector is not None


@pytest.mark.parametrize(
    ("left", "start", "says"),
    [(12, 9.0, "lasts 1.20 s"), (3, None, "breaks off: 3 of 12"), (12, None, "48×32 pixels")],
)
def test_a_clip_in_a_data_uri_is_not_spilled_into_its_error(
    embedder: Embedder, tmp_path: Path, left: int, start: float | None, says: str
) -> None:
    path = tmp_path / "a.mp4"
    if left == 12:
        write_clip(path, frames(12))
    else:
        cut_clip(path, left, 12)
    uri = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
    if "pixels" in says:
        embedder = under(embedder, Limits(max_pixels=100))
    error = one(embedder, Item(videos=(Clip(uri, start),))).error or ""
    assert error.startswith("the data URI ")
    assert says in error
    assert len(error) < 200
