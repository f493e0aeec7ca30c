from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from unite.errors import LibraryError, MediaError
from unite.library import scenes
from unite.library.scenes import check_can_find_cuts, find_cuts
from unite.media.source import Limits

from .conftest import write
from .films import write_film


def test_cuts_are_found_where_they_are(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [3, 4, 2.5, 5])
    found = find_cuts(str(film), Limits(), seconds=60)
    assert found.times == pytest.approx([3, 7, 9.5], abs=0.3)
    assert found.seen is None


def test_a_single_shot_has_no_cuts(tmp_path: Path) -> None:
    assert find_cuts(str(write_film(tmp_path / "one.mp4", [6])), Limits(), seconds=60).times == []


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    """As they do for clips that are embedded and played."""
    film = write_film(tmp_path / "film.mp4", [3, 3])
    late = tmp_path / "late.mkv"
    import av

    with av.open(str(film)) as given, av.open(str(late), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.pts += int(5 / packet.time_base)
                packet.dts += int(5 / packet.time_base)
                packet.stream = stream
                made.mux(packet)
    assert find_cuts(str(late), Limits(), seconds=60).times == pytest.approx([3], abs=0.3)


def test_the_search_ends_in_time_and_says_how_far_it_came(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [3, 4])
    assert find_cuts(str(film), Limits(), seconds=-1).seen == 0.0


def test_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        find_cuts(str(write(tmp_path / "no.mp4", b"none")), Limits(), seconds=60)


def test_without_pyscenedetect_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_can_find_cuts()
    real = util.find_spec
    monkeypatch.setattr(
        scenes, "find_spec", lambda name: None if name == "scenedetect" else real(name)
    )
    with pytest.raises(LibraryError, match=r"unite-embed\[scenes\]"):
        check_can_find_cuts()
