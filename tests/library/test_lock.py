from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.library.lock import exclusive

HOLD = """
import sys, time
from pathlib import Path
from unite.library.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_and_again_afterwards(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock"),
        pytest.raises(LibraryError, match=r"Another process .* Wait"),
        exclusive(tmp_path / "lock"),
    ):
        pass
    with exclusive(tmp_path / "lock"):
        pass


def test_a_lock_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for lock in (tmp_path / "folder", tmp_path / "nowhere" / "lock", tmp_path / ("x" * 300)):
        with pytest.raises(LibraryError, match="cannot be opened") as caught, exclusive(lock):
            pass
        assert str(lock.parent) in caught.value.remedy


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LibraryError), exclusive(lock):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with exclusive(lock):
        pass
