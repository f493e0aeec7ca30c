from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unite.errors import MediaError
from unite.media import decoding, video
from unite.media.container import hasten, opened
from unite.media.decoding import Reel, Way
from unite.media.pixels import PixelPolicy, resize_frames
from unite.media.source import Limits
from unite.media.timeline import read_timeline
from unite.media.video import FramePolicy, Frames, probe, read_clip
from unite.types import Clip
from unite.world.render import H264

from .conftest import GOLDEN, Bytes, decode_all, write_clip

EIGHT = FramePolicy(nframes=8)
LONG = str(GOLDEN / "media/clip_9s_640x360_30fps.mp4")
FAST = {"movflags": "faststart"}  # the index before the frames, so that a cut file still opens


def fetch(path: str, wanted: list[int], way: Way) -> list[Bytes]:
    with opened(path, Limits()) as (container, stream):
        if way is Way.EAGER:
            hasten(stream)
        reel = Reel(container, stream, read_timeline(path, Limits()))
        found = video._fetch(path, reel, wanted, way, Limits(), lambda frames: frames)
    return [found[number][0] for number in wanted]


def same(left: Frames, right: Frames) -> None:
    np.testing.assert_array_equal(left.frames_THWC, right.frames_THWC)
    assert left.indices == right.indices


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {}),
        ("mp4", "libx264", {"x264-params": "open-gop=1:bframes=4:b-pyramid=normal"}),
        ("mkv", "libx264", {}),
        ("avi", "mpeg4", {}),
        ("webm", "libvpx-vp9", {"deadline": "realtime"}),
        ("ts", "libx264", {}),
        ("gif", "gif", {}),
        ("h264", "libx264", {}),
    ],
)
def test_frames_are_those_of_a_plain_decode(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    path = write_clip(tmp_path / f"a.{suffix}", codec=codec, options=options)
    every = decode_all(path)
    for count in (2, 8, 12, 40):
        clip = read_clip(Clip(path), FramePolicy(nframes=count))
        assert clip.note is None
        assert len(clip.indices) == count
        for index, frame in zip(clip.indices, clip.frames_THWC, strict=True):
            np.testing.assert_array_equal(frame, every[index])


CLOSED = [{}, {"x264-params": "bframes=8:b-pyramid=strict:ref=6"}, {"x264-params": "bframes=0"}]
OPEN = [{"x264-params": "open-gop=1:bframes=4"}, {"x264-params": "intra-refresh=1"}]


@pytest.mark.parametrize("cost", [0, 3, math.inf])
@pytest.mark.parametrize("options", CLOSED)
def test_each_way_gives_the_bits_of_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], cost: float
) -> None:
    path = write_clip(tmp_path / "a.mp4", 100, gop=10, options=options)
    monkeypatch.setattr(decoding, "SEEK_COST", cost)
    wanted = [0, 1, 9, 10, 11, 39, 40, 77, 98, 99]
    straight = fetch(path, wanted, Way.STRAIGHT)
    every = decode_all(path)
    for number, frame in zip(wanted, straight, strict=True):
        np.testing.assert_array_equal(frame, every[number])
    for way in (Way.EAGER, Way.PATIENT):
        for left, right in zip(straight, fetch(path, wanted, way), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("count", [6, 12, 50])
@pytest.mark.parametrize("options", OPEN)
def test_where_seeking_fails_the_bits_are_those_of_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], count: int
) -> None:
    path = write_clip(tmp_path / "a.mp4", 100, gop=10, options=options)
    monkeypatch.setattr(decoding, "SEEK_COST", 0)
    every = decode_all(path)
    clip = read_clip(Clip(path), FramePolicy(nframes=count))
    for index, frame in zip(clip.indices, clip.frames_THWC, strict=True):
        np.testing.assert_array_equal(frame, every[index])


@pytest.mark.parametrize("alone", [True, False])
def test_the_golden_clip_gives_the_same_bits_on_one_thread_and_on_all(
    monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    monkeypatch.setattr("unite.media.container.parent_process", lambda: None if alone else 1)
    wanted = [0, 38, 77, 115, 154, 192, 231, 269]
    eager, straight = fetch(LONG, wanted, Way.EAGER), fetch(LONG, wanted, Way.STRAIGHT)
    for left, right in zip(eager, straight, strict=True):
        np.testing.assert_array_equal(left, right)


def ways(path: str, policy: FramePolicy, monkeypatch: pytest.MonkeyPatch) -> list[Way]:
    tried: list[Way] = []
    real = video._fetch
    with monkeypatch.context() as patch:
        patch.setattr(video, "_fetch", lambda *args: (tried.append(args[3]), real(*args))[1])
        read_clip(Clip(path), policy)
    return tried


def test_frames_that_no_other_needs_are_not_decoded(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(clip, Limits()) as (container, stream):
        decoded = list(decoding._needed(container, stream, {int(39 / 10 / stream.time_base)}))
    assert len(decoded) < 30
    assert ways(clip, EIGHT, monkeypatch) == [Way.EAGER]


def test_fields_are_read_with_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", options={"x264-params": "interlaced=1"})
    assert ways(path, EIGHT, monkeypatch) == [Way.EAGER, Way.PATIENT]
    clip, every = read_clip(Clip(path), EIGHT), decode_all(path)
    for index, frame in zip(clip.indices, clip.frames_THWC, strict=True):
        np.testing.assert_array_equal(frame, every[index])


def test_damage_is_made_up_for_alike_on_one_thread_and_on_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(write_clip(tmp_path / "a.mp4", 60, gop=30, container_options=FAST))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(12):
        data = bytearray(whole)
        data[int(rng.integers(whole.index(b"mdat"), len(data)))] ^= 255
        path.write_bytes(data)
        found = []
        for parent in (None, 1):
            monkeypatch.setattr("unite.media.container.parent_process", lambda one=parent: one)
            found.append(read_clip(Clip(str(path)), EIGHT))
        same(*found)
        assert found[0].note == found[1].note


def seeks(path: str, policy: FramePolicy, monkeypatch: pytest.MonkeyPatch, **part: float) -> int:
    made = []
    real = decoding._seek
    monkeypatch.setattr(decoding, "_seek", lambda *args: (made.append(1), real(*args))[1])
    read_clip(Clip(path, **part), policy)
    return len(made)


def test_it_is_sought_only_where_that_is_cheaper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = write_clip(tmp_path / "dense.mp4", 60, gop=6)
    assert seeks(dense, FramePolicy(nframes=30), monkeypatch) == 0
    assert seeks(dense, FramePolicy(nframes=2), monkeypatch) == 1
    sparse = write_clip(tmp_path / "sparse.mp4", 60, gop=600)
    assert seeks(sparse, FramePolicy(nframes=2), monkeypatch) == 0
    assert seeks(dense, FramePolicy(nframes=4), monkeypatch, start=4.0, end=5.0) == 1


def test_a_failing_seek_falls_back_to_one_pass(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = FramePolicy(nframes=2)
    plain = read_clip(Clip(clip), policy)
    monkeypatch.setattr(decoding, "_seek", lambda *_: False)
    assert ways(clip, policy, monkeypatch) == [Way.EAGER, Way.PATIENT, Way.STRAIGHT]
    same(read_clip(Clip(clip), policy), plain)


def test_a_seek_that_lands_too_late_falls_back_to_one_pass(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = FramePolicy(nframes=2)
    whole = read_clip(Clip(clip, 0.0, 3.0), policy)
    real = decoding._seek
    monkeypatch.setattr(decoding, "_seek", lambda c, s, stamp: real(c, s, stamp + 30000))
    same(read_clip(Clip(clip, 0.0, 3.0), policy), whole)


def test_a_wrong_index_is_found_out(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read_clip(Clip(clip), EIGHT)
    real = video.index_timeline

    def shifted(*args: Any) -> Any:
        line = real(*args)
        assert line is not None
        object.__setattr__(line, "stamps_F", line.stamps_F + 1)
        return line

    monkeypatch.setattr(video, "index_timeline", shifted)
    same(read_clip(Clip(clip), EIGHT), plain)


def test_without_its_index_a_clip_gives_the_same_frames(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = read_clip(Clip(clip), EIGHT)
    monkeypatch.setattr(video, "index_timeline", lambda *_: None)
    assert ways(clip, EIGHT, monkeypatch) == [Way.EAGER]
    same(read_clip(Clip(clip), EIGHT), plain)


def test_frames_of_varying_rate_are_numbered_as_shown(tmp_path: Path) -> None:
    times = [0, 40, 80, 120, 500, 1000, 1500, *range(2000, 4000, 100)]
    path = write_clip(tmp_path / "a.mp4", len(times), times=times, gop=5)
    every = decode_all(path)
    clip = read_clip(Clip(path), FramePolicy(nframes=12))
    for index, frame in zip(clip.indices, clip.frames_THWC, strict=True):
        np.testing.assert_array_equal(frame, every[index])
    # On screen from 0.6 s to 1.6 s: the frames of 0.5, 1.0 and 1.5 s.
    assert read_clip(Clip(path, 0.6, 1.6), FramePolicy(nframes=2)).indices == (4, 6)
    assert read_clip(Clip(path, 0.6, 0.7), EIGHT).indices == (4, 4)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (0, 39)),
        (0.0, 4.0, (0, 39)),
        (0.0, 99.0, (0, 39)),
        (1.0, 2.0, (10, 19)),
        (1.05, 2.05, (10, 20)),
        (1.0996, 2.0, (11, 19)),  # a time written in milliseconds names its frame
        (3.0, None, (30, 39)),
        (None, 0.5, (0, 4)),
        (3.9, None, (39, 39)),
    ],
)
def test_a_part_holds_the_frames_on_screen(
    clip: str, start: float | None, end: float | None, expected: tuple[int, int]
) -> None:
    indices = read_clip(Clip(clip, start, end), FramePolicy(nframes=40)).indices
    assert (indices[0], indices[-1]) == expected


@pytest.mark.parametrize(
    ("start", "end"), [(4.0, None), (9.0, 10.0), (2.0, 1.0), (1.0, 1.0), (-1.0, 2.0), (math.nan, 1)]
)
def test_a_part_that_is_not_there_is_an_error(clip: str, start: float, end: float | None) -> None:
    with pytest.raises(MediaError, match=r"lasts 4\.00 s.*is not in it"):
        read_clip(Clip(clip, start, end), EIGHT)


def test_two_parts_make_the_whole(clip: str) -> None:
    policy = FramePolicy(nframes=40)
    parts = [read_clip(Clip(clip, *part), policy) for part in ((0.0, 1.8), (1.8, 4.0))]
    joined = np.concatenate([part.frames_THWC for part in parts])
    np.testing.assert_array_equal(joined, read_clip(Clip(clip), policy).frames_THWC)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_applied_as_players_do(tmp_path: Path, rotation: int) -> None:
    # Two encodes of x264 are equal only under these options.
    plain = read_clip(Clip(write_clip(tmp_path / "a.mp4", options=H264)), EIGHT)
    path = write_clip(tmp_path / "b.mp4", rotation=rotation, options=H264)
    turned = read_clip(Clip(path), EIGHT)
    expected = np.rot90(plain.frames_THWC, rotation // 90, axes=(1, 2))
    np.testing.assert_array_equal(turned.frames_THWC, expected)
    assert turned.frames_THWC.flags["C_CONTIGUOUS"]
    assert probe(path).rotation == rotation % 360


def test_a_clip_of_one_frame_is_seen_twice(tmp_path: Path) -> None:
    clip = read_clip(Clip(write_clip(tmp_path / "a.mp4", 1)), FramePolicy())
    assert clip.indices == (0, 0)
    assert clip.note == "one frame only, seen twice"
    np.testing.assert_array_equal(clip.frames_THWC[0], clip.frames_THWC[1])


@pytest.mark.parametrize(
    ("end", "note"), [(6.9, None), (60.0, "the part ends at 60 s, but the clip at 6.0 s")]
)
def test_a_part_that_ends_long_after_its_clip_is_noted(
    tmp_path: Path, end: float, note: str | None
) -> None:
    clip = Clip(write_clip(tmp_path / "a.mp4", 60), 5.0, end)
    assert read_clip(clip, FramePolicy()).note == note


@pytest.mark.parametrize(("count", "seen"), [(2, 2), (3, 2), (5, 4)])
def test_a_short_clip_gives_what_it_has_in_pairs(tmp_path: Path, count: int, seen: int) -> None:
    clip = read_clip(Clip(write_clip(tmp_path / "a.mp4", count)), EIGHT)
    assert len(clip.indices) == seen
    assert clip.note is None


def cut(path: str, share: float) -> str:
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: int(len(whole) * share)])
    return path


def test_a_clip_that_breaks_off_is_spread_anew_with_a_note(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 60, container_options=FAST)
    every = decode_all(path)
    clip = read_clip(Clip(cut(path, 0.6)), EIGHT)
    assert clip.note is not None
    assert "of 60 frames" in clip.note
    assert len(clip.indices) == 8
    assert 20 < clip.indices[-1] < 59
    gaps = [right - left for left, right in pairwise(clip.indices)]
    assert max(gaps) - min(gaps) <= 1
    for index, frame in zip(clip.indices[:-1], clip.frames_THWC[:-1], strict=True):
        np.testing.assert_array_equal(frame, every[index])


def test_a_clip_that_breaks_off_too_soon_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 60, size=(320, 240), container_options=FAST)
    size = Path(path).stat().st_size
    with pytest.raises(MediaError, match=r"breaks off|no frame|cannot be"):
        read_clip(Clip(cut(path, 9000 / size)), FramePolicy())


def test_a_clip_without_its_index_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")  # the index lies at the end
    with pytest.raises(MediaError, match=r"cannot be opened as a video.*whole"):
        read_clip(Clip(cut(path, 0.9)), EIGHT)


def test_damage_in_the_middle_costs_no_more_than_its_frames(tmp_path: Path) -> None:
    path = Path(write_clip(tmp_path / "a.mkv", 60, codec="mjpeg", size=(128, 96)))
    data = bytearray(path.read_bytes())
    middle = data.index(b"\xff\xd8\xff", len(data) // 2)
    beyond = data.index(b"\xff\xd8\xff", middle + 3)
    data[middle : beyond - 40] = bytes(beyond - 40 - middle)  # one picture is gone
    path.write_bytes(data)
    clip = read_clip(Clip(str(path)), FramePolicy(nframes=60))
    assert len(clip.indices) == 58  # 59 in pairs
    assert clip.note == "cut short or damaged: 59 of 60 frames"


def test_a_container_that_claims_too_many_frames_does_not_fail(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = video.packet_timeline

    def boasting(*args: Any) -> Any:
        line = real(*args)
        step = line.stamps_F[1] - line.stamps_F[0]
        more = line.stamps_F[-1] + step * np.arange(1, 21)
        object.__setattr__(line, "stamps_F", np.concatenate([line.stamps_F, more]))
        object.__setattr__(line, "declared", 60)
        return line

    monkeypatch.setattr(video, "index_timeline", lambda *_: None)
    monkeypatch.setattr(video, "packet_timeline", boasting)
    frames = read_clip(Clip(clip), EIGHT)
    assert frames.indices[-1] == 39
    assert frames.note == "cut short or damaged: 40 of 60 frames"


def test_a_clip_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.ts", 12)
    large = write_clip(tmp_path / "b.ts", 12, (128, 96))
    path = tmp_path / "c.ts"
    path.write_bytes(Path(small).read_bytes() + Path(large).read_bytes())
    assert read_clip(Clip(str(path)), EIGHT).frames_THWC.shape == (8, 48, 64, 3)


def test_each_frame_can_be_shrunk_at_once() -> None:
    policy = PixelPolicy()
    seen = []

    def shrink(frames_THWC: Bytes) -> Bytes:
        seen.append(frames_THWC.shape)
        return resize_frames(frames_THWC, policy)

    whole = read_clip(Clip(LONG), EIGHT)
    small = read_clip(Clip(LONG), EIGHT, shrink=shrink)
    assert seen == [(1, 360, 640, 3)] * 8
    np.testing.assert_array_equal(small.frames_THWC, resize_frames(whole.frames_THWC, policy))


def test_a_probe_tells_what_the_container_says(clip: str) -> None:
    found = probe(clip)
    assert (found.frames, found.rate, found.width, found.height) == (40, 10.0, 64, 48)
    assert found.rotation == 0
    assert found.seconds == 4.0


def test_a_probe_counts_where_the_container_does_not_say(tmp_path: Path) -> None:
    assert probe(write_clip(tmp_path / "a.mkv", 17)).frames == 17


@pytest.mark.parametrize("reader", [probe, lambda path: read_clip(Clip(path), EIGHT)])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be opened"),
        (b"", "is empty"),
        (b"plain text, no video", "cannot be opened as a video"),
        (b"\0" * 4096, "cannot be opened as a video"),
    ],
)
def test_what_is_no_video_says_so(
    tmp_path: Path, reader: Any, content: bytes | None, says: str
) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=says) as caught:
        reader(str(path))
    assert caught.value.remedy
    assert "a.mp4" in caught.value.message


def test_web_addresses_are_not_fetched() -> None:
    with pytest.raises(MediaError, match="not fetched"):
        read_clip(Clip("https://example.org/a.mp4"), EIGHT)


def test_length_is_limited(clip: str) -> None:
    with pytest.raises(MediaError, match="lasts 4 s; the limit is 3 s"):
        read_clip(Clip(clip), EIGHT, Limits(max_seconds=3))


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("gif", "gif")]
)
def test_damaged_files_are_read_or_refused(tmp_path: Path, suffix: str, codec: str) -> None:
    fast = FAST if suffix == "mp4" else {}
    whole = Path(
        write_clip(tmp_path / f"a.{suffix}", 24, codec=codec, container_options=fast)
    ).read_bytes()
    rng = np.random.default_rng(7)
    path = tmp_path / f"damaged.{suffix}"
    outcomes = set()
    for number in range(30):
        data = bytearray(whole if number % 2 else whole[: rng.integers(1, len(whole))])
        for at in rng.integers(0, len(data), 1 + number % 12):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            frames = read_clip(Clip(str(path)), FramePolicy(), Limits(max_pixels=10**6))
        except MediaError:
            outcomes.add("refused")
        else:
            assert frames.frames_THWC.dtype == np.uint8
            assert len(frames.indices) == len(frames.frames_THWC) >= 2
            outcomes.add("read")
    assert outcomes == ({"read"} if suffix == "gif" else {"read", "refused"})  # GIF lives on


def test_a_text_is_no_clip(tmp_path: Path) -> None:
    """FFmpeg would draw its letters."""
    path = tmp_path / "notes.txt"
    path.write_text("a dog jumps into the water\n" * 20)
    with pytest.raises(MediaError, match="is a text"):
        read_clip(Clip(str(path)), FramePolicy())
