from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.media import write_clip, write_picture

from unite.cli.pictures import HEIGHT, WIDTH, pictures
from unite.stores.protocol import Record


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    photo = write_picture(tmp_path / "a.png", 1)
    clip = write_clip(tmp_path / "c.mp4", 2)
    plain = Record(
        id="", path=str(photo or tmp_path / "a.png"), source="", digest="", modality="image",
        size=1, mtime_ns=1,
    )  # fmt: skip
    return [
        plain,
        replace(plain, path=str(clip or tmp_path / "c.mp4"), modality="video"),
        replace(plain, path=str(tmp_path / "note.txt"), modality="text"),
        replace(plain, path=str(tmp_path / "gone.png")),
    ]


def terminal(**how: object) -> Console:
    given = {"force_terminal": True, "color_system": "truecolor", "width": 80, **how}
    return Console(file=io.StringIO(), **given)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning")  # in textual-image
def test_a_terminal_in_colour_gets_pictures(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    console = terminal()
    shown = pictures(records, console)
    assert [bool(one) for one in shown] == [True, True, False, False]
    console.print(shown[0])
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == HEIGHT
    assert WIDTH > HEIGHT


def test_pipes_and_plain_terminals_get_words_alone(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert pictures(records, terminal(force_terminal=False)) == []
    assert pictures(records, terminal(color_system=None)) == []
    assert pictures(records[2:3], terminal()) == []
    monkeypatch.setenv("TERM", "dumb")
    assert pictures(records, terminal()) == []
