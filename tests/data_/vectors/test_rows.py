from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from unite.data.records import BadRow
from unite.data.vectors import embed_rows
from unite.data.vectors.rows import LOOK_AHEAD
from unite.types import Embedding, Item

from .fakes import DIM, Fake, rows, vector_of


@pytest.mark.parametrize("window", [1, 3, 8, 1000])
def test_rows_out_are_records_in(window: int) -> None:
    records = rows(200)
    found = list(embed_rows(Fake(window=window), records))
    assert [row.id for row in found] == [record.id for record in records]
    for row, record in zip(found, records, strict=True):
        if isinstance(record, BadRow):
            assert (row.modality, row.error, row.embedding) == ("", "no item", None)
        elif row.error is None:
            assert row.embedding is not None
            np.testing.assert_array_equal(row.embedding, vector_of(str(record.text)))


def test_however_many_bad_rows_follow_each_other_few_wait() -> None:
    read = 0

    def records() -> Iterator[Item | BadRow]:
        nonlocal read
        for number in range(3 * LOOK_AHEAD):
            read += 1
            yield BadRow(number, str(number), "bad")
        yield Item(text="last", id="last")

    ahead = 0
    made = 0
    for row in embed_rows(Fake(), records()):
        made, last = made + 1, row
        ahead = max(ahead, read - made)
    assert last.id == "last"
    assert last.embedding is not None
    assert made == 3 * LOOK_AHEAD + 1
    assert ahead <= LOOK_AHEAD


def test_an_encoder_that_loses_an_item_is_not_believed() -> None:
    class Loses(Fake):
        def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
            yield from list(super().embed(items))[1:]

    with pytest.raises(RuntimeError, match="fewer vectors"):
        list(embed_rows(Loses(), rows(3)))


def test_a_cut_to_nothing_is_a_failure() -> None:
    class Zeros(Fake):
        def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
            yield from (Embedding(np.eye(DIM, dtype=np.float32)[3]) for _ in items)

    (row,) = embed_rows(Zeros(), [Item(text="a", id="a")], 3)
    assert row.embedding is None
    assert "first 3" in str(row.error)
    (row,) = embed_rows(Zeros(), [Item(text="a", id="a")], 4)
    assert row.embedding is not None
    assert row.embedding.tolist() == [0, 0, 0, 1]
