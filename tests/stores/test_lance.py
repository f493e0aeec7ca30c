"""What LanceDB on disk adds: it stays, it is shared, it survives ruins. The rest: test_exact."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unite.errors import LibraryError, StoreError
from unite.stores.filters import HasTag, Not
from unite.stores.indexing import TABLE
from unite.stores.lance import LanceStore
from unite.stores.lance_schema import LATER, migrate, schema, to_arrow
from unite.stores.protocol import Row

from .conftest import DIM, rows, unit


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


def test_create_lays_a_table_over_an_empty_one_that_nobody_named(tmp_path: Path) -> None:
    LanceStore.create(str(tmp_path), DIM)
    assert LanceStore.create(str(tmp_path), DIM + 1).dim == DIM + 1
    assert LanceStore.open(str(tmp_path)).count() == 0


@pytest.mark.parametrize("dim", [DIM, DIM + 1])
def test_create_refuses_a_table_with_rows(tmp_path: Path, dim: int) -> None:
    made = rows(3)
    LanceStore.create(str(tmp_path), DIM).upsert(made)
    with pytest.raises(LibraryError, match=r"in use already.*another place"):
        LanceStore.create(str(tmp_path), dim)
    held = sorted(LanceStore.open(str(tmp_path)).records(), key=lambda one: one.id)
    assert held == [row.record for row in made]


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


def old_table(folder: Path) -> None:
    """A table as the first version made it."""
    import lancedb
    import pyarrow as pa

    made, new = rows(4), schema(DIM)
    old = pa.schema([new.field(name) for name in new.names if name not in LATER])
    data = to_arrow(made, DIM, new).select(old.names).cast(old)
    lancedb.connect(str(folder)).create_table(TABLE, data)


def test_a_table_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old_table(tmp_path)
    store = LanceStore.open(str(tmp_path))
    assert sorted(one.id for one in store.records()) == [f"r{n:03}" for n in range(4)]
    assert store.get(["r000"])[0].record == rows(1)[0].record
    tagged = replace(rows(1)[0].record, tags=("a",), duration=2.0, width=3, height=4)
    store.upsert([Row(tagged, unit(DIM))])
    assert store.get(["r000"])[0].record == tagged
    assert store.count(HasTag("a")) == 1
    assert store.count(Not(HasTag("a"))) == 3
    assert len(store.search(unit(DIM), 9)) == 4
    assert LanceStore.open(str(tmp_path)).count() == 4


def test_two_that_bring_it_up_to_date_at_once(tmp_path: Path) -> None:
    import lancedb

    old_table(tmp_path)
    late = lancedb.connect(str(tmp_path)).open_table(TABLE)
    LanceStore.open(str(tmp_path))
    migrate(late)
    assert set(LATER) <= set(late.schema.names)
    assert LanceStore.open(str(tmp_path)).count() == 4


@pytest.mark.parametrize("what", ["data/*.lance", "_versions/*"])
@pytest.mark.parametrize("how", ["cut", "noise"])
def test_a_damaged_table_is_an_error_with_a_remedy(tmp_path: Path, what: str, how: str) -> None:
    LanceStore.create(str(tmp_path), DIM).upsert(rows(40))
    for path in (tmp_path / f"{TABLE}.lance").glob(what):
        whole = path.read_bytes()
        noise = np.random.default_rng(0).bytes(len(whole))
        path.write_bytes(whole[:30] if how == "cut" else noise)

    def used() -> None:
        store = LanceStore.open(str(tmp_path))
        list(store.records())

    with pytest.raises(StoreError, match=r"damaged or cannot be reached.*Put a backup"):
        used()


def test_a_damaged_table_cannot_be_searched(tmp_path: Path) -> None:
    LanceStore.create(str(tmp_path), DIM).upsert(rows(40))
    for path in (tmp_path / f"{TABLE}.lance" / "data").glob("*.lance"):
        path.write_bytes(path.read_bytes()[:30])
    store = LanceStore.open(str(tmp_path))
    for use in (
        lambda: store.search(unit(DIM), 3),
        lambda: store.get([row.record.id for row in rows(3)]),
        store.modalities,
        store.stats,
    ):
        with pytest.raises(StoreError, match="damaged"):
            use()


def test_more_may_be_asked_for_than_any_table_holds(tmp_path: Path) -> None:
    store = LanceStore.create(str(tmp_path), DIM, exact_limit=0)
    store.upsert(rows(40))
    assert len(store.search(unit(DIM), 10**12)) == 40
    assert store.search(unit(DIM), 10, offset=10**20) == []
