from __future__ import annotations

import os
from pathlib import Path

import pytest

from unite.paths import absolute, expanded


def test_a_path_is_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/one")
    assert expanded("~/a") == Path("/home/one/a")
    assert absolute("~/a/../b") == "/home/one/b"
    assert absolute(Path("x/./y/..")) == os.path.join(tmp_path, "x")  # noqa: PTH118


def test_a_user_who_does_not_exist_is_no_exception(tmp_path: Path) -> None:
    assert expanded("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
    assert absolute("~nobody-of-this-name").endswith("/~nobody-of-this-name")
