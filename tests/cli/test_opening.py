from __future__ import annotations

from pathlib import Path

import pytest

from unite.cli.opening import PLAYERS, player
from unite.types import Hit


def program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def clip(start: float | None) -> Hit:
    return Hit("c#2", "/c.mp4", "video", 0.5, start, 9.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mpv", ["--start=12.5", "/c.mp4"]),
        ("vlc", ["--start-time=12.5", "/c.mp4"]),
        ("ffplay", ["-ss", "12.5", "/c.mp4"]),
    ],
)
def test_a_segment_plays_from_its_time(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, name)
    assert player(clip(12.5)) == [str(tmp_path / name), *words]
    assert player(clip(None)) is None


def test_the_first_known_player_is_taken_and_none_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert player(clip(1.0)) is None
    for name in PLAYERS:
        program(tmp_path, name)
    assert player(clip(1.0)) == [str(tmp_path / "mpv"), "--start=1", "/c.mp4"]
