"""What LanceDB on disk adds: it stays, it is shared, it survives ruins. The rest: test_exact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.stores.indexing import TABLE
from unite.stores.lance import LanceStore

from .conftest import DIM, rows


def test_a_table_is_found_again_with_its_width(tmp_path: Path) -> None:
    made = rows(20)
    LanceStore.create(str(tmp_path), DIM).upsert(made)
    again = LanceStore.open(str(tmp_path))
    assert again.dim == DIM
    held = sorted(again.records(), key=lambda one: one.id)
    assert held == [row.record for row in made]


def test_no_table_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"no table of vectors at .*Index into"):
        LanceStore.open(str(tmp_path))


def test_create_lays_a_table_over_the_ruins_of_an_attempt(tmp_path: Path) -> None:
    ruins = tmp_path / f"{TABLE}.lance"
    (ruins / "data").mkdir(parents=True)
    (ruins / "data" / "half.lance").write_bytes(b"half")
    with pytest.raises(LibraryError):
        LanceStore.open(str(tmp_path))
    store = LanceStore.create(str(tmp_path), DIM)
    store.upsert(rows(3))
    assert LanceStore.open(str(tmp_path)).count() == 3


def test_create_empties_a_table_that_nobody_named(tmp_path: Path) -> None:
    LanceStore.create(str(tmp_path), DIM).upsert(rows(3))
    assert LanceStore.create(str(tmp_path), DIM + 1).dim == DIM + 1
    assert LanceStore.open(str(tmp_path)).count() == 0


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    writer = LanceStore.create(str(tmp_path), DIM)
    reader = LanceStore.open(str(tmp_path))
    made = rows(6)
    for number, row in enumerate(made, 1):
        writer.upsert([row])
        assert reader.count() == number
        assert len(reader.search(row.vector, 10)) == number
    writer.tidy()
    writer.delete(["r000"])
    assert len(reader.search(made[0].vector, 10)) == 5


def test_stores_import_neither_lancedb_nor_torch_until_used() -> None:
    code = (
        "import sys, unite.stores.opening, unite.stores.grammar, unite.stores.exact, unite.library.ingest,"
        " unite.library.search, unite.sheets;"
        "heavy = {'lancedb', 'pyarrow', 'torch', 'av', 'PIL', 'jinja2', 'rich', 'qdrant_client'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
