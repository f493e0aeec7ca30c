from __future__ import annotations

from pathlib import Path

import pytest

from unite.errors import MediaError
from unite.library.clips import look_at
from unite.library.segments import Segmenting

from .conftest import write
from .films import write_film

SCENES = Segmenting(how="scenes")


def test_length_size_and_scenes(tmp_path: Path) -> None:
    facts = look_at(str(write_film(tmp_path / "film.mp4", [3, 4])), SCENES, 60)
    assert (facts.seconds, facts.width, facts.height, facts.note) == (7.0, 64, 48, None)
    (first, second) = facts.spans
    assert first == (0.0, second[0])
    assert first[1] == pytest.approx(3, abs=0.3)
    assert second[1] == 7.0


def test_windows_and_whole(tmp_path: Path) -> None:
    film = str(write_film(tmp_path / "film.mp4", [3, 4]))
    windows = Segmenting(how="windows", shortest=1, longest=3.5)
    assert look_at(film, windows, 60).spans == ((0.0, 3.5), (3.5, 7.0))
    assert look_at(film, Segmenting(how="whole"), 60).spans == ()


def test_beyond_the_time_for_scenes_there_are_windows(tmp_path: Path) -> None:
    film = str(write_film(tmp_path / "film.mp4", [3, 4]))
    facts = look_at(film, Segmenting(how="scenes", shortest=1, longest=3.5), -1)
    assert facts.spans == ((0.0, 3.5), (3.5, 7.0))
    assert facts.note == "cut into scenes up to 0 s, into equal windows from there on"


def test_a_clip_that_breaks_off_is_cut_as_far_as_it_goes(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", [3, 4, 5])
    data = film.read_bytes()
    facts = look_at(str(write(tmp_path / "cut.mkv", data[: len(data) * 2 // 3])), SCENES, 60)
    assert facts.seconds is not None
    assert 3 < facts.seconds < 12
    assert facts.spans[-1][1] == facts.seconds


def test_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        look_at(str(write(tmp_path / "no.mp4", b"none")), SCENES, 60)
