import json
import subprocess
import sys
from pathlib import Path

from unite.library.ingest import ingest
from unite.library.library import Library
from unite.library.progress import FILE, Progress, progress_of, published

from .fakes import FakeEncoder


def test_others_see_how_far_a_run_is_until_it_ends(tmp_path: Path) -> None:
    assert progress_of(tmp_path) is None
    with published(tmp_path) as publish:
        publish(Progress(0, 5, 0))
        assert progress_of(tmp_path) == Progress(0, 5, 0)
        publish(Progress(5, 5, 1))
        assert progress_of(tmp_path) == Progress(5, 5, 1)
    assert progress_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_not_believed(tmp_path: Path) -> None:
    code = "import os; print(os.getpid())"
    gone = int(subprocess.check_output([sys.executable, "-c", code]))
    row = {"done": 1, "total": 2, "failed": 0, "process": gone}
    (tmp_path / FILE).write_text(json.dumps(row))
    assert progress_of(tmp_path) is None
    (tmp_path / FILE).write_text("{")
    assert progress_of(tmp_path) is None


def test_indexing_tells(library: Library, encoder: FakeEncoder, media: Path) -> None:
    seen: list[Progress | None] = []
    ingest(library, [media], encoder, on_progress=lambda _: seen.append(progress_of(library.path)))
    assert seen[0] == Progress(0, 4, 0)
    assert seen[-1] == Progress(4, 4, 0)
    assert progress_of(library.path) is None
