"""A process that follows a folder: what changes is found, and it ends when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from unite.library.ingest import ingest
from unite.library.library import Library
from unite.library.watch import _Ours, folders_of

from .conftest import contents_of, new_library, picture, write
from .fakes import FakeEncoder

WATCHER = """
import json, sys
from dataclasses import asdict
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from fakes import FakeEncoder
from unite.library import watch as module
from unite.library.library import Library
module.QUIET, module.RETRY, module.WHOLE = 100, 0.1, float(sys.argv[4])
module.watch(Library.open(Path(sys.argv[1])), [Path(sys.argv[2])], FakeEncoder(),
             on_outcome=lambda one: print(json.dumps(asdict(one)), flush=True),
             on_refusal=lambda error: print(json.dumps({"refused": str(error)}), flush=True))
print(json.dumps({"ended": True}), flush=True)
"""


class Watcher:
    """The process and what it says."""

    def __init__(self, library: Path, folder: Path, whole: float = 600) -> None:
        here = str(Path(__file__).parent)
        words = [sys.executable, "-c", WATCHER, str(library), str(folder), here, str(whole)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._said: Queue[dict[str, Any]] = Queue()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._said.put(json.loads(line))

    def until(self, verb: str) -> dict[str, Any]:
        """The next thing said in which this count or word is not empty."""
        while True:
            said = self._said.get(timeout=200)
            if said.get(verb):
                return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture(tmp_path / "media" / "sub" / "a.png")
    return tmp_path / "media"


@pytest.fixture
def watcher(library: Library, folder: Path) -> Iterator[Watcher]:
    with Watcher(library.path, folder) as started:
        yield started


def test_what_changes_is_indexed_until_it_is_told_to_end(
    watcher: Watcher, library: Library, folder: Path
) -> None:
    assert watcher.until("added")["added"] == 1
    write(folder / "note.txt", "red")
    assert watcher.until("added")["added"] == 1
    write(folder / "note.txt", "blue")
    assert watcher.until("changed")["changed"] == 1
    (folder / "sub").rename(folder / "other")
    assert watcher.until("moved")["moved"] == 1
    (folder / "note.txt").unlink()
    assert watcher.until("removed")["removed"] == 1
    watcher.process.send_signal(signal.SIGTERM)
    assert watcher.until("ended")
    assert watcher.process.wait(timeout=200) == 0
    fresh = new_library(library.path.with_name("fresh"))
    ingest(fresh, [folder], FakeEncoder())
    assert contents_of(library) == contents_of(fresh)


def test_ctrl_c_ends_it_too_and_the_lock_is_free(
    watcher: Watcher, library: Library, folder: Path
) -> None:
    watcher.until("added")
    with library.writing():
        write(folder / "note.txt", "red")
        assert "Another process" in watcher.until("refused")["refused"]
    assert watcher.until("added")["added"] == 1
    watcher.process.send_signal(signal.SIGINT)
    assert watcher.until("ended")
    assert watcher.process.wait(timeout=200) == 0
    with library.writing():
        assert library.store.count() == 2


@pytest.mark.slow
def test_a_library_inside_the_folder_does_not_wake_itself(folder: Path) -> None:
    inside = new_library(folder / "lib")
    with Watcher(inside.path, folder) as watcher:
        watcher.until("added")
        write(folder / "note.txt", "red")
        watcher.until("added")
        write(folder / "last.txt", "red")
        assert watcher.until("kept")["added"] == 1  # had it woken itself, a run without news


@pytest.mark.slow
def test_from_time_to_time_everything_is_looked_at(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    far = picture(tmp_path / "far" / "b.png", "blue")
    (folder / "link").symlink_to(far.parent, target_is_directory=True)
    with Watcher(library.path, folder, whole=0.2) as watcher:
        assert watcher.until("added")["added"] == 2
        picture(far, "green")  # no notice comes from behind a link
        assert watcher.until("changed")["changed"] == 1


@pytest.mark.parametrize("by_link", ["followed", "opened"])
def test_its_own_files_are_known_under_every_name(tmp_path: Path, by_link: str) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real, target_is_directory=True)
    followed, opened = (link, real) if by_link == "followed" else (real, link)
    ours = _Ours(new_library(opened / "lib").own_paths)
    for name in ("progress.json", "progress.json.7.tmp", "vectors/a.lance", "writer.lock"):
        assert ours(str(followed / "lib" / name)), name
    for name in ("lib/mine.png", "lib/progress.png", "lib2/progress.json", "a.png"):
        assert not ours(str(followed / name)), name


def test_which_folders_are_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "c").mkdir()
    listed = write(tmp_path / "items.jsonl", "")
    roots = [str(root), str(listed)]

    def looked_at(*changed: Path) -> list[str]:
        found = folders_of(map(str, changed), roots)
        return [os.path.relpath(path, tmp_path) for path in found]

    assert looked_at(root / "a" / "x.png") == ["root/a"]
    assert looked_at(root / "a" / "x.png", root / "a" / "b" / "y.png") == ["root/a"]
    assert looked_at(root / "gone" / "deep" / "x.png", root / "c" / "y.png") == ["root"]
    assert looked_at(listed) == ["items.jsonl"]
    assert looked_at(tmp_path / "beside.png", tmp_path / "rooted" / "x.png") == []
    assert looked_at(root) == ["root"]
