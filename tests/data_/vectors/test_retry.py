from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from unite.data.records import BadRow
from unite.data.vectors import Outcome, Output, Precision, embed_file, retry_failed
from unite.data.vectors import retry as module
from unite.errors import DataError
from unite.types import Embedding, Item

from .conftest import contents, left_over
from .fakes import SMALL, Fake, kind, rows, vector_of

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


class StopError(Exception):
    pass


def until(stop: int, records: list[Item | BadRow] | None = None) -> Iterator[Item | BadRow]:
    yield from (records or rows(COUNT))[:stop]
    raise StopError


def stopped(output: Output, **options: object) -> None:
    with pytest.raises(StopError):
        retry(output, Fake(healed=True, window=1), **{"records": until(90), **options})
    assert list(output.retried.glob("part-*"))


def shuffled() -> list[Item | BadRow]:
    """As many rows with the same ids, but other words in all that failed."""
    return [
        Item(text=f"word of another {row.id}", id=row.id) if isinstance(row, Item) else row
        for row in rows(COUNT)
    ]


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


def test_a_refused_input_leaves_nothing_behind(output: Output) -> None:
    run(output)
    with pytest.raises(DataError, match="input is not the one"):
        retry(output, Fake(), records=shuffled())
    assert not output.retried.exists()
    assert_as_never_broken_off(output)


def test_another_input_that_was_broken_off_is_found_out(output: Output) -> None:
    run(output)
    before = contents(output)
    stopped(output, records=until(90, shuffled()))
    with pytest.raises(DataError, match=r"came from other rows.*same command again"):
        retry(output, Fake(healed=True))
    assert contents(output) == before
    assert_as_never_broken_off(output)


def test_another_input_does_not_go_on_with_a_journal(output: Output) -> None:
    run(output)
    before = contents(output)
    stopped(output)
    with pytest.raises(DataError, match="other rows"):
        retry(output, Fake(healed=True), records=shuffled())
    assert contents(output) == before
    assert_as_never_broken_off(output)


def assert_as_never_broken_off(output: Output) -> None:
    retry(output, Fake(healed=True))
    fresh = Output.at(output.path.with_name("fresh.parquet"))
    run(fresh, Fake(healed=True))
    assert contents(output) == contents(fresh)


@pytest.mark.parametrize("restart", [True, False])
def test_a_new_output_forgets_what_was_tried_of_the_old(output: Output, restart: bool) -> None:
    run(output)
    stopped(output)
    if not restart:
        remove(output)
    run(output, restart=restart)
    assert not output.retried.exists()


def remove(output: Output) -> None:
    for path in output.files():
        path.unlink()


@pytest.mark.parametrize("whole", [True, False])
def test_a_journal_mends_only_the_output_whose_rows_it_tried(
    output: Output, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another output of the same input has come to its place: other rows failed in it."""
    run(output)
    if whole:
        monkeypatch.setattr(module, "_apply", stop)
        with pytest.raises(StopError):
            retry(output, Fake())
        monkeypatch.undo()
    else:
        stopped(output)
    kept = output.retried.rename(output.retried.with_name("kept"))
    remove(output)
    run(output, Fails({"r5", "r7"}))
    kept.rename(output.retried)
    encoder = Fails(set())
    outcome = retry(output, encoder)
    assert encoder.seen == ["r5", "r7"]
    assert (outcome.failed, outcome.embedded) == (BAD, BAD + 2)
    fresh = Output.at(output.path.with_name("fresh.parquet"))
    run(fresh, Fails(set()))
    assert contents(output) == contents(fresh)
    facts = output.finished()
    assert facts is not None
    assert facts.failed == BAD


class Fails(Fake):
    """Fails those named, whatever their words."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self._names = names

    def _one(self, text: str) -> Embedding:
        if self.seen[-1] in self._names:
            return Embedding(None, error="cannot")
        return Embedding(vector_of(text))


def stop(*_: object) -> None:
    raise StopError


def test_a_file_is_mended_a_row_group_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    output = Output.at(tmp_path_factory.mktemp("groups") / "v.parquet")
    run(output)
    groups = pq.ParquetFile(output.path).num_row_groups
    retry(output, Fake(healed=True))
    assert pq.ParquetFile(output.path).num_row_groups == groups == 7
