"""Files that change or vanish under the reader, and disks that are full: reported, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from unite.library import reading
from unite.library.ingest import ingest
from unite.library.library import Library
from unite.types import Embedding, Item

from .conftest import contents_of, counts, new_library, picture, write
from .fakes import FakeEncoder

FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from fakes import FakeEncoder
from unite.errors import LibraryError
from unite.library.ingest import ingest
from unite.library.library import Library
library = Library.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    ingest(library, [Path(sys.argv[2])], FakeEncoder(), batch=50)
except LibraryError as error:
    print(error)
"""


class Meddler(FakeEncoder):
    """Calls a function just before it embeds an item of this name."""

    def __init__(self, name: str, act: object) -> None:
        super().__init__()
        self.name_of_victim = name
        self.act = act

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item in items:
            if str(item.id).endswith(self.name_of_victim):
                self.act()  # type: ignore[operator]
            yield from super().embed([item])


def test_a_file_that_changes_while_it_is_read_leaves_no_wrong_vector(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    first = picture(folder / "a.png", "red")
    picture(folder / "b.png", "green")
    outcome = ingest(library, [folder], Meddler("a.png", lambda: picture(first, "blue")))
    assert counts(outcome) == {"added": 1, "embedded": 1, "failed": 1}
    assert "changed while it was read" in outcome.failed[str(first)]
    ingest(library, [folder], FakeEncoder())
    fresh = new_library(tmp_path / "fresh")
    ingest(fresh, [folder], FakeEncoder())
    assert contents_of(library) == contents_of(fresh)


def test_a_caption_that_changes_while_it_is_read(library: Library, tmp_path: Path) -> None:
    shot = picture(tmp_path / "media" / "a.png")
    caption = write(shot.with_suffix(".txt"), "red")
    outcome = ingest(library, [shot], Meddler("a.png", lambda: write(caption, "dark red")))
    assert "changed while it was read" in outcome.failed[str(shot)]
    assert counts(ingest(library, [shot], FakeEncoder())) == {"added": 1, "embedded": 1}


@pytest.mark.parametrize("ahead", [1, 64])
def test_a_file_that_vanishes_after_the_scan_is_no_failure(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(reading, "AHEAD", ahead)
    folder = tmp_path / "media"
    picture(folder / "a.png", "red")
    last = picture(folder / "z.png", "blue")
    ingest(library, [folder], FakeEncoder())
    picture(folder / "a.png", "white")
    picture(last, "black")
    outcome = ingest(library, [folder], Meddler("a.png", last.unlink))
    assert counts(outcome) == {"changed": 1, "removed": 1, "embedded": 1}
    assert [record.path for record in library.store.records()] == [str(folder / "a.png")]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_a_full_disk_is_reported_and_costs_nothing_that_was_there(tmp_path: Path) -> None:
    library, folder = new_library(tmp_path / "lib"), tmp_path / "media"
    for n in range(20):
        write(folder / f"a{n:03}.txt", f"text {n}")
    ingest(library, [folder], FakeEncoder())
    before = contents_of(library)
    (folder / "a000.txt").rename(folder / "moved.txt")
    for n in range(200):
        write(folder / f"b{n:03}.txt", f"other text {n}")
    words = [sys.executable, "-c", FULL, str(library.path), str(folder), str(Path(__file__).parent)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert "cannot be written" in said.stdout, said.stderr
    assert "index again" in said.stdout
    held = contents_of(Library.open(library.path))
    assert before.items() <= held.items()
    outcome = ingest(Library.open(library.path), [folder], FakeEncoder())
    assert outcome.moved == 1
    fresh = new_library(tmp_path / "fresh")
    ingest(fresh, [folder], FakeEncoder())
    assert contents_of(library) == contents_of(fresh)
