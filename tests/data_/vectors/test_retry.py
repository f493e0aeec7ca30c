from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from unite.data.records import BadRow
from unite.data.vectors import Outcome, Output, Precision, embed_file, retry_failed
from unite.errors import DataError
from unite.types import Item

from .conftest import contents, left_over
from .fakes import SMALL, Fake, kind, rows

COUNT = 100
GONE = sum("fail" in str(row.text) for row in rows(COUNT) if isinstance(row, Item))
EVER = sum("ever" in str(row.text) for row in rows(COUNT) if isinstance(row, Item))
BAD = sum(isinstance(row, BadRow) for row in rows(COUNT))


def run(output: Output, encoder: Fake | None = None, **options: object) -> Outcome:
    given = {"cadence": SMALL, "kind": kind(), "records": rows(COUNT), **options}
    return embed_file(output, encoder=encoder or Fake(), **given)  # type: ignore[arg-type]


def retry(output: Output, encoder: Fake, **options: object) -> Outcome:
    given = {"cadence": SMALL, "kind": kind(), "records": rows(COUNT), **options}
    return retry_failed(output, encoder=encoder, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", list(Precision))
def test_failed_rows_are_made_good_and_no_other_moves(output: Output, precision: Precision) -> None:
    wanted = kind(precision)
    run(output, kind=wanted)
    before, encoder = contents(output), Fake(healed=True)
    outcome = retry(output, encoder, kind=wanted)
    assert outcome == Outcome(rows=COUNT, failed=EVER + BAD, embedded=GONE + BAD)
    after = contents(output)
    assert len(encoder.seen) == GONE
    healed = 0
    for old, new in zip(before, after, strict=True):
        if old["error"] is None or "ever" in old["error"] or old["error"] == "no item":
            assert new == old
        else:
            healed += 1
            assert new["id"] == old["id"]
            assert new["error"] is None
            assert new["embedding"] is not None
    assert healed == GONE - EVER
    fresh = Output.at(output.path.with_name("fresh.parquet"))
    run(fresh, Fake(healed=True), kind=wanted)
    assert after == contents(fresh)
    facts = output.finished()
    assert facts is not None
    assert facts.failed == EVER + BAD
    fresh.path.unlink()
    fresh.path.with_name(".fresh.parquet.lock").unlink()
    assert left_over(output) == []


def test_files_without_failures_are_not_touched(output: Output) -> None:
    good = [Item(text=f"word {n}", id=str(n)) for n in range(COUNT)]
    good[40] = Item(text="fail", id="40")
    run(output, records=good)
    before = {path: path.stat().st_mtime_ns for path in output.files()}
    retry(output, Fake(healed=True), records=good)
    after = {path: path.stat().st_mtime_ns for path in output.files()}
    assert sum(before[path] != after[path] for path in before) == 1
    assert retry(output, Fake(), records=good) == Outcome(rows=COUNT, failed=0, embedded=0)


def test_it_may_be_tried_once_more(output: Output) -> None:
    run(output)
    assert retry(output, Fake()).failed == GONE + BAD
    assert retry(output, Fake(healed=True)).failed == EVER + BAD
    assert retry(output, Fake(healed=True)).embedded == EVER + BAD


def test_what_was_tried_again_is_not_tried_twice(output: Output) -> None:
    class StopError(Exception):
        pass

    def until(stop: int) -> Iterator[Item | BadRow]:
        yield from rows(stop)
        raise StopError

    run(output)
    before = contents(output)
    first, second = Fake(healed=True, window=1), Fake(healed=True)
    with pytest.raises(StopError):
        retry(output, first, records=until(90))
    assert contents(output) == before
    retry(output, second)
    assert 0 < len(second.seen) < GONE
    assert len(set(first.seen) & set(second.seen)) < SMALL.rows
    assert sum(row["error"] is not None for row in contents(output)) == EVER + BAD


def test_another_input_changes_nothing(output: Output) -> None:
    run(output)
    before = contents(output)
    other = [*rows(COUNT)]
    other[5] = Item(text="changed", id="r5")
    for records in (other, rows(COUNT - 1), rows(COUNT + 1)):
        with pytest.raises(DataError, match="input is not the one"):
            retry(output, Fake(healed=True), records=records)
        assert contents(output) == before
    with pytest.raises(DataError, match="model_id"):
        retry(output, Fake(), kind=kind(model_id="m2"))
    assert retry(output, Fake(healed=True)).failed == EVER + BAD


def test_only_a_finished_output_has_failed_rows(output: Output) -> None:
    with pytest.raises(DataError, match=r"not finished.*without --retry-failed"):
        retry(output, Fake())


def test_a_new_output_forgets_what_was_tried_of_the_old(output: Output) -> None:
    run(output)
    with pytest.raises(DataError):
        retry(output, Fake(healed=True), records=rows(COUNT - 1))
    assert output.retried.exists()
    run(output, restart=True)
    assert not output.retried.exists()


def test_a_file_is_mended_a_row_group_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    output = Output.at(tmp_path_factory.mktemp("groups") / "v.parquet")
    run(output)
    groups = pq.ParquetFile(output.path).num_row_groups
    retry(output, Fake(healed=True))
    assert pq.ParquetFile(output.path).num_row_groups == groups == 7
