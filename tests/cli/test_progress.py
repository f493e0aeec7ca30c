import pytest
from rich.console import Console

from unite.cli.progress import progress_bars


def test_bars_tell_rate_and_failures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "160")
    with progress_bars() as show:
        show("embedding", 1000, 1100)
        for done in range(1001, 1051):
            show("embedding", done, 1100, 3)
    said = capsys.readouterr()
    assert said.out == ""
    assert "1050/1100" in said.err
    assert "/s 3 failed" in said.err


def test_nothing_is_shown_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as show:
        show("embedding", 1, None)
    assert capsys.readouterr() == ("", "")
