"""Real processes: killed in the middle of writing, and reading while another writes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unite.library.ingest import ingest
from unite.library.library import VECTORS, Library
from unite.library.segments import Segmenting

from .conftest import contents_of, counts, new_library, write
from .fakes import FakeEncoder
from .films import write_film

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from fakes import DIM, FakeEncoder
from unite.library.ingest import ingest
from unite.library.library import Library
encoder = FakeEncoder(delay=float(sys.argv[4]))
path = Path(sys.argv[1])
if Library.exists(path):
    library = Library.open(path, model_id=encoder.model_id, dim=DIM)
else:
    library = Library.create(path, model_id=encoder.model_id, model="fake", dim=DIM)
ingest(library, [Path(sys.argv[2])], encoder, batch=5,
       on_progress=lambda now: print(now.done, flush=True))
"""

READER = """
import json, sys, time
from pathlib import Path
import numpy as np
from unite.library.library import Library
from unite.library.search import search_vector
library = Library.open(Path(sys.argv[1]))
query = np.full(12, 12 ** -0.5, np.float32)
counts, faults = [], []
print("ready", flush=True)
end = time.monotonic() + 200
while (not counts or counts[-1] < int(sys.argv[2])) and time.monotonic() < end:
    hits = search_vector(library, query, k=100).hits
    scores = [hit.score for hit in hits]
    if scores != sorted(scores, reverse=True) or len({hit.id for hit in hits}) != len(hits):
        faults.append(scores)
    counts.append(len(hits))
print(json.dumps({"counts": counts, "faults": faults}))
"""


def start(code: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True
    )


def write_to(library: Path, folder: Path, delay: float) -> subprocess.Popen[str]:
    return start(WRITER, library, folder, Path(__file__).parent, delay)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Forty texts, some of several passages."""
    for n in range(40):
        write(
            tmp_path / "many" / f"{n:02}.txt",
            "\n\n".join(f"{n:02}-{m} " * 110 for m in range(1 + n % 3)),
        )
    return tmp_path / "many"


def test_killed_at_any_point_it_opens_and_continues(tmp_path: Path, many: Path) -> None:
    path = tmp_path / "killed"
    for stop_at in (3, 6, 9):
        with write_to(path, many, 0.003) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                if int(line) >= stop_at:
                    break
            writer.send_signal(signal.SIGKILL)
        library = Library.open(path)
        held = library.store.count()
        assert held < 79
    last = FakeEncoder()
    outcome = ingest(library, [many], last)
    assert outcome.kept > 0
    assert 0 < len(last.seen) < 79
    undisturbed = new_library(tmp_path / "undisturbed")
    assert counts(ingest(undisturbed, [many], FakeEncoder())) == {"added": 40, "embedded": 79}
    assert contents_of(library) == contents_of(undisturbed)
    assert counts(ingest(library, [many], FakeEncoder())) == {"kept": 40}


def killed_again_and_again(path: Path, folder: Path, kills: int, seed: int) -> Library:
    """Kill a writer when it has told so many files or a moment later, again and again."""
    rng = random.Random(seed)
    for _ in range(kills):
        stop_at, later = rng.randint(0, 6), rng.uniform(0, 0.05)
        with write_to(path, folder, 0.002) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                if int(line) >= stop_at:
                    break
            time.sleep(later)
            writer.send_signal(signal.SIGKILL)
        Library.open(path).store.stats()
    return Library.open(path)


@pytest.fixture
def mixed(many: Path) -> Path:
    """Texts, and clips of up to five segments, a captioned one among them."""
    for n in range(8):
        write_film(many / f"{n:02}-film.mp4", [2.5 + 0.1 * n] * (1 + n % 5))
    write(many / "04-film.txt", "five shots")
    return many


def ends_as_one_made_in_peace(path: Path, folder: Path, kills: int) -> None:
    library = killed_again_and_again(path, folder, kills, seed=kills)
    ingest(library, [folder], FakeEncoder())
    undisturbed = new_library(path.with_name("undisturbed"), segmenting=Segmenting())
    ingest(undisturbed, [folder], FakeEncoder())
    assert contents_of(library) == contents_of(undisturbed)
    assert any(record.start for record in library.store.records())
    assert counts(ingest(library, [folder], FakeEncoder())) == {"kept": 48}


def test_killed_amid_segments_it_continues(tmp_path: Path, mixed: Path) -> None:
    ends_as_one_made_in_peace(tmp_path / "killed", mixed, 2)


@pytest.mark.slow
def test_killed_twenty_times(tmp_path: Path, mixed: Path) -> None:
    ends_as_one_made_in_peace(tmp_path / "killed", mixed, 20)


def test_killed_between_the_new_rows_and_the_sweep(
    library: Library, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(library, [many], FakeEncoder())
    (many / "00.txt").rename(many / "99.txt")
    (many / "01.txt").unlink()
    write(many / "02.txt", "short now")

    def killed(ids: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(library.store, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(library, [many], FakeEncoder())
    again = FakeEncoder()
    ingest(Library.open(library.path), [many], again)
    assert again.seen == []
    fresh = new_library(library.path.parent / "fresh")
    ingest(fresh, [many], FakeEncoder())
    assert contents_of(library) == contents_of(fresh)


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01])
def test_killed_while_being_made(tmp_path: Path, many: Path, delay: float) -> None:
    path = tmp_path / "lib"
    with write_to(path, many, 0.01) as writer:
        while not (path / VECTORS).exists():
            time.sleep(0.0005)
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
    made = Library.open(path) if Library.exists(path) else new_library(path)
    ingest(made, [many], FakeEncoder())
    assert made.store.count() == 79


def test_two_readers_follow_one_writer(tmp_path: Path, many: Path) -> None:
    path = new_library(tmp_path / "shared").path
    readers = [start(READER, path, 79) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    with write_to(path, many, 0.005) as writer:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    for reader in readers:
        seen = json.loads(reader.communicate(timeout=300)[0])
        assert seen["faults"] == []
        assert seen["counts"] == sorted(seen["counts"])
        assert seen["counts"][-1] == 79
        assert len(set(seen["counts"])) > 3
