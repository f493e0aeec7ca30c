from __future__ import annotations

from pathlib import Path

import pytest
from tests.media.conftest import noise, save, write_clip

from unite.errors import MediaError
from unite.media.looking import look
from unite.types import Clip


def test_sound_media_have_nothing_to_be_noted(tmp_path: Path, clip: str) -> None:
    assert look(save(tmp_path / "a.png", noise(20, 30))) is None
    assert look(Clip(clip)) is None
    assert look(Clip(clip, 1.0, 2.0)) is None


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_picture_cut_anywhere_is_unreadable(tmp_path: Path, share: float) -> None:
    data = Path(save(tmp_path / "a.png", noise(200, 300))).read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MediaError):
        look(str(tmp_path / "cut.png"))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_missing_tail_of_a_clip_is_noticed(tmp_path: Path, share: float) -> None:
    options = {"movflags": "+faststart"}
    whole = write_clip(tmp_path / "a.mp4", 60, gop=6, container_options=options)
    data = Path(whole).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * share)])
    note = look(Clip(str(tmp_path / "cut.mp4")))
    assert note is not None
    assert "of 60 frames" in note


@pytest.mark.parametrize("form", ["matroska", "webm"])
def test_where_no_frames_are_claimed_the_duration_tells(tmp_path: Path, form: str) -> None:
    codec = "libvpx" if form == "webm" else "libx264"
    whole = write_clip(tmp_path / "whole", 60, gop=6, codec=codec, container=form)
    data = Path(whole).read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) * 2 // 3])
    note = look(Clip(str(tmp_path / "cut")))
    assert look(Clip(whole)) is None
    assert note is not None
    assert "of 6.0 s" in note


def test_a_part_beyond_the_end_is_unreadable(clip: str) -> None:
    with pytest.raises(MediaError, match="is not in it"):
        look(Clip(clip, 100.0, 101.0))
