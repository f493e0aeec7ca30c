from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unite.data.records import BadRow
from unite.data.vectors import (
    Cadence,
    Outcome,
    Output,
    Precision,
    Row,
    embed_file,
    embed_stream,
    read_batches,
    read_vectors,
)
from unite.data.vectors.table import read_facts
from unite.errors import DataError
from unite.types import Item

from .conftest import contents, left_over
from .fakes import SMALL, Fake, kind, lines, rows, vector_of

COUNT = 100


def run(output: Output, encoder: Fake | None = None, **options: object) -> Outcome:
    given = {"cadence": SMALL, "kind": kind(), "records": rows(COUNT), **options}
    return embed_file(output, encoder=encoder or Fake(), **given)  # type: ignore[arg-type]


class StopError(Exception):
    pass


def until(stop: int) -> Iterator[Item | BadRow]:
    yield from rows(stop)
    raise StopError


def stopped(output: Output, at: int = 70) -> None:
    with pytest.raises(StopError):
        run(output, records=until(at))


def test_the_contract(output: Output) -> None:
    outcome = run(output)
    failed = sum(isinstance(row, BadRow) or "fail" in str(row.text) for row in rows(COUNT))
    assert outcome == Outcome(rows=COUNT, failed=failed, embedded=COUNT)
    found = contents(output)
    assert list(found[0]) == ["id", "modality", "embedding", "error", "note"]
    assert [row["id"] for row in found] == [row.id for row in rows(COUNT)]
    assert sum(row["error"] is not None for row in found) == failed
    assert {row["note"] for row in found} == {None, "fifth"}
    assert left_over(output) == []
    facts = output.finished()
    assert facts is not None
    assert (facts.rows, facts.failed, facts.dim, facts.model) == (COUNT, failed, 16, "fake")
    assert len(output.files()) == (7 if output.is_folder else 1)


@pytest.mark.parametrize("precision", list(Precision))
def test_read_back_whatever_the_precision(output: Output, precision: Precision) -> None:
    run(output, kind=kind(precision, 8))
    found = read_vectors(output.path)
    assert found.ids == [row.id for row in rows(COUNT)]
    assert found.vectors_ND.shape == (COUNT, 8)
    for row, vector, error in zip(rows(COUNT), found.vectors_ND, found.errors, strict=True):
        if error is not None:
            assert not vector.any()
            continue
        assert isinstance(row, Item)
        wanted = vector_of(str(row.text))[:8]
        assert vector @ wanted / np.linalg.norm(wanted) > (0.5 if precision == "binary" else 0.999)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert sum(len(batch) for batch in read_batches(output.path)) == COUNT


def test_no_rows_are_an_output_too(output: Output) -> None:
    assert run(output, records=[]) == Outcome(rows=0, failed=0, embedded=0)
    assert read_vectors(output.path).vectors_ND.shape == (0, 16)
    assert run(output, records=[]).rows == 0


def test_what_is_done_is_not_done_again(output: Output) -> None:
    stopped(output)
    held = sum(facts.rows for facts in map(read_facts, sorted(output.parts.glob("part-*"))))
    assert held >= 48
    encoder = Fake()
    assert run(output, encoder).embedded == COUNT - held
    assert not {row.id for row in rows(held)} & set(encoder.seen)
    whole = Output.at(output.path.with_name("whole.parquet"))
    run(whole)
    assert contents(output) == contents(whole)


def test_a_finished_output_is_left_alone(output: Output) -> None:
    first, before = run(output), {path: path.stat().st_mtime_ns for path in output.files()}
    encoder = Fake()
    assert run(output, encoder) == replace(first, embedded=0)
    assert encoder.seen == []
    assert {path: path.stat().st_mtime_ns for path in output.files()} == before


@pytest.mark.parametrize("whole", [True, False])
def test_other_rows_or_another_kind_are_refused(output: Output, whole: bool) -> None:
    if whole:
        run(output)
    else:
        stopped(output)
    before = {
        path: path.read_bytes() for path in output.path.parent.rglob("*.parquet") if path.is_file()
    }
    other = [*rows(COUNT)]
    other[5] = Item(text="changed", id="r5")
    same_id = [*rows(COUNT)]
    same_id[3] = BadRow(4, "r3", "another reason")
    for records in (other, same_id, rows(40)):
        with pytest.raises(DataError, match=r"input is not the one.*--restart"):
            run(output, records=records)
    if whole:
        with pytest.raises(DataError, match=r"nothing after.*--restart"):
            run(output, records=rows(COUNT + 1))
    for other_kind, word in [
        (kind(model_id="m2"), "model_id m1, not m2"),
        (kind(dim=8), "dim 16, not 8"),
        (kind(Precision.INT8), "precision float32, not int8"),
    ]:
        with pytest.raises(DataError, match=rf"{word}.*--restart"):
            run(output, kind=other_kind)
    assert {path: path.read_bytes() for path in before} == before
    assert run(output, kind=kind(dim=8), restart=True).embedded == COUNT
    assert len(contents(output)[0]["embedding"]) == 8


def test_a_model_may_have_another_name(output: Output) -> None:
    stopped(output)
    assert run(output, kind=replace(kind(), model="elsewhere")).embedded < COUNT


def test_a_file_of_others_is_not_overwritten(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "v.parquet")
    output = Output.at(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=r"not written by `unite embed`.*--restart"):
        run(output)
    with pytest.raises(DataError, match="other tables"):
        Output.at(tmp_path)
    assert run(output, restart=True).rows == COUNT


@pytest.mark.parametrize("name", ["v.csv", "file"])
def test_names_that_are_no_output(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"\.parquet"):
        Output.at(tmp_path / name)


def test_a_lost_part_is_told(tmp_path: Path) -> None:
    output = Output.at(tmp_path / "v")
    run(output)
    output.files()[2].unlink()
    with pytest.raises(DataError, match=r"no part that begins with row 32.*--restart"):
        run(output)
    with pytest.raises(DataError, match="no part that begins with row 32"):
        read_vectors(output.path)


def test_an_unfinished_folder_is_not_read_as_whole(tmp_path: Path) -> None:
    output = Output.at(tmp_path / "v")
    output.path.mkdir()
    with pytest.raises(DataError, match="holds no vectors"):
        list(read_batches(output.path))
    stopped(output)
    for read in (read_vectors, lambda path: list(read_batches(path))):
        with pytest.raises(DataError, match=r"not finished: it ends with row .*command .* again"):
            read(output.path)
    run(output)
    assert len(read_vectors(output.path)) == COUNT


def test_a_part_is_written_after_a_time_too(tmp_path: Path) -> None:
    output = Output.at(tmp_path / "v")
    run(output, cadence=Cadence(rows=1024, seconds=0))
    assert len(output.files()) == COUNT


def test_nothing_is_held_beyond_a_part(output: Output) -> None:
    """The input is read no further ahead than a part and the encoder's window."""
    read = 0

    def records() -> Iterator[Item | BadRow]:
        nonlocal read
        for read, row in enumerate(rows(400), 1):  # noqa: B007
            yield row

    def on_row(done: int, failed: int) -> None:
        written = sum(1 for _ in output.parts.glob("part-*")) * SMALL.rows
        assert read - written <= SMALL.rows + 16

    run(output, records=records(), on_row=on_row)


def test_a_second_writer_is_refused(output: Output) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom unite.data.vectors import Output\nwith Output.at(Path(sys.argv[1])).locked():\n print(1, flush=True)\n sys.stdin.read()"
    command = [sys.executable, "-c", code, str(output.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DataError, match="Another process is writing"):
            run(output)
        other.kill()
    assert run(output).rows == COUNT


def test_a_full_disk_is_told_and_keeps_the_parts(output: Output, tmp_path: Path) -> None:
    """A real limit on a file's size: parts fit in it, the whole does not."""
    source = tmp_path / "items.jsonl"
    source.write_text(lines(COUNT))
    limit = 12_000 if not output.is_folder else 2_000
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    code += "from tests.data_.vectors.fakes import main\nimport sys\nmain(*sys.argv[1:], 'embed')"
    command = [sys.executable, "-c", code, str(source), str(output.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DataError" in done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "make room" in done.stderr
    assert not list(tmp_path.rglob("*.partial"))
    if not output.is_folder:
        assert len(list(output.parts.glob("part-*"))) == 7
    assert embed_file(output, list(_read(source)), Fake(), kind(), cadence=SMALL).rows == COUNT


def _read(source: Path) -> Iterator[Item | BadRow]:
    from unite.data.items import read_items

    yield from read_items(source)


def test_half_a_surrogate_pair_is_spelt_out(output: Output) -> None:
    records = [Item(text="a", id="\ud800"), BadRow(2, "b", "\udfff")]
    assert run(output, records=records).rows == 2
    assert [row["id"] for row in contents(output)] == ["\\ud800", "b"]
    assert contents(output)[1]["error"] == "\\udfff"


def test_a_stream_hands_on_every_row() -> None:
    found: list[Row] = []
    outcome = embed_stream(rows(COUNT), Fake(), kind(dim=8), found.append)
    assert [row.id for row in found] == [row.id for row in rows(COUNT)]
    assert outcome.failed == sum(row.error is not None for row in found)
    assert {len(row.embedding) for row in found if row.embedding is not None} == {8}
