from __future__ import annotations

import base64
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from unite.errors import MediaError
from unite.media import timeline as module
from unite.media.container import decoded, opened
from unite.media.source import Limits
from unite.media.timeline import (
    Timeline,
    exact_timeline,
    index_timeline,
    read_timeline,
    surviving_timeline,
)

from .conftest import GOLDEN, noise, write_clip

LONG = str(GOLDEN / "media/clip_9s_640x360_30fps.mp4")


def test_a_timeline_tells_when_frames_are_shown(clip: str) -> None:
    line = read_timeline(clip, Limits())
    assert (line.total, line.declared, line.rate) == (40, 40, 10.0)
    assert line.timed
    assert line.keys.tolist() == [0, 12, 24, 36]
    np.testing.assert_allclose(line.times, np.arange(40) / 10)
    assert line.seconds == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("frame", "key"), [(0, 0), (11, 0), (12, 12), (13, 12), (35, 24), (36, 36), (39, 36)]
)
def test_decoding_starts_at_the_key_frame_before(clip: str, frame: int, key: int) -> None:
    assert read_timeline(clip, Limits()).key_before(frame) == key


@pytest.mark.parametrize(
    ("suffix", "codec", "timed"),
    [
        ("mkv", "libx264", True),
        ("avi", "mpeg4", True),
        ("webm", "libvpx-vp9", True),
        ("ts", "libx264", True),
        ("gif", "gif", True),
        ("h264", "libx264", False),
    ],
)
def test_other_containers_are_counted(tmp_path: Path, suffix: str, codec: str, timed: bool) -> None:
    path = write_clip(tmp_path / f"a.{suffix}", 15, codec=codec)
    line = read_timeline(path, Limits())
    assert line.total == 15
    assert line.timed == timed
    assert (np.diff(line.stamps_F) > 0).all()


@pytest.mark.parametrize("path", ["golden", "own"])
def test_the_index_tells_the_same_as_all_packets(
    clip: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    path = LONG if path == "golden" else clip
    slow = exact_timeline(path, Limits())
    monkeypatch.setattr(module, "packets", lambda *_: pytest.fail("packets were read"))
    quick = read_timeline(path, Limits())
    np.testing.assert_array_equal(quick.stamps_F, slow.stamps_F)
    np.testing.assert_array_equal(quick.keys, slow.keys)
    assert (quick.tick, quick.declared) == (slow.tick, slow.declared)
    assert quick.rate == pytest.approx(slow.rate)


def by_index(path: str) -> Timeline | None:
    with opened(path, Limits()) as (container, stream):
        return index_timeline(container, stream)


def test_an_index_of_varying_rate_is_not_trusted(tmp_path: Path) -> None:
    times = [0, 100, 150, 400, *range(1000, 2000, 100)]
    path = write_clip(tmp_path / "a.mp4", len(times), times=times)
    assert by_index(path) is None
    line = read_timeline(path, Limits())
    np.testing.assert_allclose(line.times, np.array(times) / 1000, atol=1e-3)


def test_an_index_of_what_is_no_more_there_is_not_trusted(tmp_path: Path) -> None:
    path = Path(write_clip(tmp_path / "a.mp4", 60, container_options={"movflags": "faststart"}))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert by_index(str(path)) is None
    line = read_timeline(str(path), Limits())
    assert line.total < line.declared == 60


def test_survivors_are_the_frames_that_decode(clip: str) -> None:
    line = surviving_timeline(clip, Limits(), 99)
    np.testing.assert_array_equal(line.stamps_F, read_timeline(clip, Limits()).stamps_F)
    assert line.declared == 99


def test_a_data_uri_is_a_clip(clip: str) -> None:
    uri = "data:video/mp4;base64," + base64.b64encode(Path(clip).read_bytes()).decode()
    assert read_timeline(uri, Limits()).total == 40


def test_a_colon_in_a_name_is_no_protocol(clip: str, tmp_path: Path) -> None:
    path = tmp_path / "concat:a|b.mp4"
    path.write_bytes(Path(clip).read_bytes())
    assert read_timeline(str(path), Limits()).total == 40


def test_a_songs_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mka"
    with av.open(str(path), "w", format="matroska") as file:
        sound = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    with pytest.raises(MediaError, match="no video stream"):
        read_timeline(str(path), Limits())


def test_a_playlist_is_not_followed(clip: str, tmp_path: Path) -> None:
    path = tmp_path / "a.m3u8"
    path.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n"
        f"http://127.0.0.1:9/{Path(clip).name}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(MediaError, match=r"playlist|cannot be opened|no video"):
        read_timeline(str(path), Limits())
    path = tmp_path / "a.ffconcat"
    path.write_text(f"ffconcat version 1.0\nfile '{Path(clip).name}'\n")
    with pytest.raises(MediaError, match=r"playlist|cannot be opened"):
        read_timeline(str(path), Limits())


def test_frame_sizes_are_limited_before_decoding(clip: str) -> None:
    with pytest.raises(MediaError, match="64×48"), opened(clip, Limits(max_pixels=1000)):
        pytest.fail("it was opened")


def test_errors_of_the_body_are_not_disguised(clip: str) -> None:
    with pytest.raises(ZeroDivisionError), opened(clip, Limits()):
        raise ZeroDivisionError


def test_frames_come_in_the_order_shown(clip: str) -> None:
    with opened(clip, Limits()) as (container, stream):
        stamps = [frame.pts for frame in decoded(container, stream)]
    assert len(stamps) == 40
    assert stamps == sorted(stamps)


def test_a_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    from .conftest import save

    line = read_timeline(save(tmp_path / "a.png", noise(16, 16)), Limits())
    assert line.total == 1
    assert line.seconds > 0
