"""One writer and several readers, each a process of its own, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unite.stores.lance import LanceStore

ROWS, DIM = 40, 16

WRITER = """
import sys
from pathlib import Path
from tests.stores.test_processes import generation
from unite.stores.lance import LanceStore
store = LanceStore.open(sys.argv[1], exact_limit=int(sys.argv[2]))
number = 0
while not Path(sys.argv[3], "enough").exists():
    number += 1
    store.upsert(generation(number))
    if number % 5 == 0:
        store.tidy()
    store.delete(["last"])
print(number)
"""

READER = """
import sys
from pathlib import Path
from tests.stores.test_processes import ROWS, seen, generation
from unite.stores.lance import LanceStore
store = LanceStore.open(sys.argv[1], exact_limit=int(sys.argv[2]))
last, is_over = -1, False
while not is_over:
    is_over = Path(sys.argv[3], "over").exists()
    found = store.search(generation(1)[0].vector, ROWS + 5)
    number = seen(found)
    assert number >= last, (number, last)
    records = [one for one in store.records() if one.id != "last"]
    assert len(records) == ROWS and len({one.size for one in records}) == 1
    assert records[0].size >= number
    if number > last:
        print(number, flush=True)
    last = number
"""


def generation(number: int) -> list:
    """All rows rewritten: their vectors, sizes and texts all tell the same number."""
    import numpy as np

    from unite.stores.protocol import Record, Row

    vectors = np.zeros((ROWS + 1, DIM), np.float32)
    vectors[:, 0] = np.cos(number / 100)
    vectors[:, 1] = np.sin(number / 100)
    ids = [*(f"r{n}" for n in range(ROWS)), "last"]
    return [
        Row(
            Record(id=name, path=name, source=name, digest=str(number), modality="image",
                   size=number, mtime_ns=0, text=str(number)),
            vector,
        )
        for name, vector in zip(ids, vectors, strict=True)
    ]  # fmt: skip


def seen(found: list) -> int:
    """The one number that everything in an answer tells, the cosines too."""
    import math

    numbers = {one.record.size for one in found} | {int(one.record.text) for one in found}
    assert len(numbers) == 1, numbers
    (number,) = numbers
    wanted = math.cos((number - 1) / 100)
    assert all(abs(one.score - wanted) < 1e-6 for one in found), (number, found[0].score)
    assert len(found) in (ROWS, ROWS + 1)
    return number


@pytest.mark.parametrize("limit", [pytest.param(0, marks=pytest.mark.slow), 200_000])
def test_readers_see_whole_versions_while_a_writer_writes(tmp_path: Path, limit: int) -> None:
    base = tmp_path / "store"
    LanceStore.create(str(base), DIM).upsert(generation(0))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(base), str(limit), str(tmp_path)],
            stdout=subprocess.PIPE, text=True,
        )
        for code in (READER, READER, WRITER)
    ]  # fmt: skip
    *readers, writer = running
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert all(reader.stdout.readline() for _ in range(5)), "a reader failed"
        (tmp_path / "enough").touch()
        last, _ = writer.communicate()
        (tmp_path / "over").touch()
        assert [reader.communicate()[0].split()[-1:] for reader in readers] == [[last.strip()]] * 2
        assert [process.returncode for process in running] == [0, 0, 0]
    finally:
        for process in running:
            process.kill()
