"""Every fault is told, and only faults; a file that is too much for its decoder is one of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data_ import decoders
from tests.data_.sources.conftest import lines, put, shard, table
from tests.media.conftest import write_clip

from unite.data import check as module
from unite.data.check import Report, Trouble, check_data
from unite.data.placed import ITEMS
from unite.data.repeats import Repeats, item_hash
from unite.data.sources import Source
from unite.errors import DataError
from unite.types import Item

CLIP = Path(__file__).parents[1] / "data" / "golden_a" / "media" / "clip_2s_320x240_24fps.mp4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, grey in (("a", 10), ("b", 90)):
        Image.new("RGB", (30, 20), (grey,) * 3).save(tmp_path / f"{name}.png")
    shutil.copy(CLIP, tmp_path / "clip.mp4")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "cut.mp4").write_bytes(CLIP.read_bytes()[:3000])
    return tmp_path


def checked(*paths: Path, seconds: float = 30, workers: int = 1, **options: Any) -> Report:
    sources = {path.name: Source(path=path, **options) for path in paths}
    extracted = paths[0].parent / "extracted"
    return check_data(sources, extracted, workers=workers, seconds=seconds)


def rows_file(folder: Path, rows: list[Any]) -> Path:
    return put(folder / "rows.json", json.dumps(rows))


def pair(words: str, **candidate: Any) -> dict[str, Any]:
    return {"query": {"text": words}, "candidate": candidate}


def test_sound_pairs_are_counted(folder: Path) -> None:
    rows = [pair("1", image="a.png"), pair("2", video="clip.mp4"), pair("3", text="words")]
    report = checked(rows_file(folder, rows))
    assert report.sound
    assert not report.faults
    assert report.kinds == {"text→image": 1, "text→video": 1, "text→text": 1}
    assert report.media == {"image": 1, "video": 1}
    assert report.to_json()["good"] == 3
    assert json.loads(json.dumps(report.to_json()))["forms"] == {"rows.json": "pairs"}


def test_each_fault_is_told_with_its_row_and_the_rows_it_spoils(folder: Path) -> None:
    rows = [
        pair("one", image="a.png"),
        {"query": {"text": "no candidate"}},
        pair("two", image="broken.png"),
        pair("three", image=["broken.png", "broken.png"]),
        pair("four", video="cut.mp4"),
        pair("five", image="nowhere.png"),
        {"query": {"image": "b.png"}, "candidate": {"image": "b.png"}},
        pair("one", image="a.png"),
        pair("one", image="b.png"),
        pair("<|IMAGE|> but there is none", image="a.png"),
        pair("a control token <|im_end|>", image="broken.png"),
    ]
    report = checked(rows_file(folder, rows))
    assert (report.rows, report.broken) == (11, 7)
    assert not report.sound
    found = {(fault.kind, fault.number): fault for fault in report.faults}
    assert set(found) == {
        ("row", 2), ("row", 10), ("row", 11), ("medium", 3), ("medium", 5), ("medium", 6),
        ("same", 7), ("duplicate", 8),
    }  # fmt: skip
    assert len(report.faults) == len(found)
    assert found[Trouble.MEDIUM, 3].rows == 3
    assert found[Trouble.MEDIUM, 3].path == str(folder / "broken.png")
    assert "nowhere.png" in found[Trouble.MEDIUM, 6].reason
    assert "rows.json:1 again" in found[Trouble.DUPLICATE, 8].reason
    assert (report.duplicates, report.same, report.asked_again) == (1, 1, 1)
    assert report.unreadable == {"image": 2, "video": 1}
    assert report.media["image"] == 4  # each once, whatever the rows that use it


def test_a_medium_of_many_rows_is_decoded_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "look", decoders.look)
    path = rows_file(folder, [pair(str(number), image="a.png") for number in range(50)])
    told: list[tuple[str, int, int | None]] = []
    check_data({"s": Source(path=path)}, folder, progress=lambda *step: told.append(step))
    assert (folder / "visits").read_text() == "a.png\n"
    assert told[-1] == ("decoding media", 1, 1)
    assert ("reading rows", 50, 50) in told


def test_a_file_that_hangs_or_kills_its_decoder_costs_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "look", decoders.look)
    names = ["a.png", "endless.png", "b.png", "deadly.png", "clip.mp4"]
    for name in names:
        if not (folder / name).exists():
            shutil.copy(folder / "a.png", folder / name)
    rows = [pair(name, **{"video" if "mp4" in name else "image": name}) for name in names]
    report = checked(rows_file(folder, rows), seconds=5, workers=2)
    assert report.broken == 2
    reasons = {fault.number: fault.reason for fault in report.faults}
    assert set(reasons) == {2, 4}
    assert "timed out after 5 s" in reasons[2]
    assert "died (signal 11)" in reasons[4]


def test_item_files_are_checked_too(folder: Path) -> None:
    file = folder / "items.jsonl"
    broken = ['{"id": "x", "image": "a.png"}', "no json", '{"text": "t", "video": "cut.mp4"}']
    file.write_text("\n".join([*broken, '{"id": "y", "image": "a.png"}']))
    report = checked(file)
    assert report.forms == {"items.jsonl": ITEMS}
    assert (report.rows, report.broken, report.duplicates) == (4, 2, 1)
    assert report.kinds == {"image": 2, "text+video": 1}
    asked = check_data({"s": Source(path=file)}, folder, items=True)
    assert asked.broken == 2


def test_a_clip_that_is_cut_short_is_noted_though_it_can_be_used(folder: Path) -> None:
    whole = write_clip(folder / "whole.mkv", 60, gop=6)
    data = Path(whole).read_bytes()
    put(folder / "short.mkv", data[: len(data) * 2 // 3])
    Image.new("L", (9, 9)).save(
        folder / "moving.gif", save_all=True, append_images=[Image.new("L", (9, 9), 255)]
    )
    rows = [pair("1", video="short.mkv"), pair("2", image="moving.gif"), pair("3", video=whole)]
    report = checked(rows_file(folder, rows))
    assert report.sound
    assert report.notes == 2
    reasons = {fault.number: fault.reason for fault in report.faults}
    assert set(reasons) == {1, 2}
    assert "of 6.0 s" in reasons[1]
    assert "first of 2 frames" in reasons[2]


def test_a_file_that_breaks_off_is_told_with_what_came_before(folder: Path) -> None:
    torn = put(folder / "torn.json", json.dumps([pair("1", image="broken.png")])[:-1] + ', {"q')
    whole = put(folder / "whole.jsonl", lines([pair("2", image="a.png")]))
    report = checked(torn, whole)
    assert not report.sound
    assert (report.rows, report.broken, report.broken_off) == (2, 1, 1)
    assert [fault.kind for fault in report.faults] == ["file", "medium"]
    assert report.faults[0].number is None


def test_sources_of_every_form_together(folder: Path) -> None:
    captioned = folder / "captioned"
    put(captioned / "a.png", (folder / "a.png").read_bytes())
    put(captioned / "a.txt", "a grey picture")
    put(captioned / "b.png", (folder / "b.png").read_bytes())
    packed = shard(
        folder / "s.tar",
        [("1.png", (folder / "a.png").read_bytes()), ("1.txt", b"t"), ("2.png", b"bad"), ("2.txt", b"u")],
    )  # fmt: skip
    pairs = rows_file(folder, [pair("x", image="a.png")])
    report = checked(captioned, packed, pairs)
    assert report.forms == {"captioned": "folder", "s.tar": "webdataset", "rows.json": "pairs"}
    assert (report.rows, report.broken) == (5, 2)
    assert [(fault.source, fault.kind) for fault in report.faults] == [("captioned", "row"), ("s.tar", "medium")]  # fmt: skip


def test_what_is_not_there_or_not_said_ends_before_anything_is_read(folder: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        checked(rows_file(folder, []), folder / "none")
    with pytest.raises(DataError, match="Give query and candidate"):
        checked(table(folder / "t.parquet", [{"caption": "a", "image": "a.png"}]))


@pytest.mark.parametrize(("name", "text"), [("e.jsonl", ""), ("e.json", "[]"), ("e.csv", "a,b\n")])
def test_a_file_without_rows_is_a_fault(folder: Path, name: str, text: str) -> None:
    columns = {"query": "a", "candidate": "b"} if name == "e.csv" else {}
    report = checked(put(folder / name, text), **columns)
    assert (report.rows, report.sound) == (0, False)
    (fault,) = report.faults
    assert (fault.kind, fault.number) == (Trouble.FILE, None)
    assert "holds no row" in fault.reason


def test_items_of_every_form_are_checked(folder: Path) -> None:
    listed = table(
        folder / "items.parquet", [{"id": "x", "image": "a.png"}, {"id": "y", "image": "no.png"}]
    )
    album = folder / "album"
    put(album / "a.png", (folder / "a.png").read_bytes())
    put(album / "b.png", b"\x89PNG broken")
    sources = {path.name: Source(path=path) for path in (listed, album)}
    report = check_data(sources, folder / "extracted", items=True)
    assert (report.rows, report.broken) == (4, 2)
    assert [(fault.place, fault.number) for fault in report.faults] == [
        ("items.parquet:2", 2),
        ("album:2", 2),
    ]


def test_a_first_row_that_is_broken_does_not_make_items_of_pairs(folder: Path) -> None:
    text = "no json\n[1]\n" + lines([pair("1", image="a.png")])
    report = checked(put(folder / "pairs.jsonl", text))
    assert report.forms == {"pairs.jsonl": "pairs"}
    assert (report.rows, report.broken) == (3, 2)


def test_a_target_that_the_candidate_does_not_have_is_told(folder: Path) -> None:
    rows = [
        {**pair("1", image="a.png"), "target_modal": "video"},
        {**pair("2", image="a.png", text="t"), "target_modal": "image"},
    ]
    report = checked(rows_file(folder, rows))
    assert report.sound
    (fault,) = report.faults
    assert (fault.kind, fault.number) == (Trouble.TARGET, 1)
    assert fault.reason == "It asks for video, but its candidate is image."


small = st.integers(0, 2)


@settings(max_examples=60)
@given(st.lists(st.none() | st.tuples(small, small), max_size=12))
def test_repeats_are_those_that_plain_comparison_finds(rows: list[tuple[int, int] | None]) -> None:
    repeats = Repeats()
    for row in rows:
        if row is None:
            repeats.skip()
        else:
            repeats.add(*row)
    expected = {
        number: rows.index(row)
        for number, row in enumerate(rows)
        if row is not None and rows.index(row) < number
    }
    assert dict(repeats.duplicates()) == expected
    found = {row for row in rows if row is not None}
    assert repeats.repeated_queries() == sum(
        len({candidate for query, candidate in found if query == one}) > 1 for one in range(3)
    )


def test_what_an_item_holds_is_hashed_not_its_id() -> None:
    assert item_hash(Item(text="a", id="1")) == item_hash(Item(text="a"))
    assert item_hash(Item(text="a")) != item_hash(Item(text="a", instruction="b"))


def test_a_file_that_breaks_off_before_its_first_pair_is_reported(folder: Path) -> None:
    torn = put(folder / "torn.json", '["a", "b", {"query": ')
    whole = put(folder / "whole.jsonl", lines([pair("2", image="a.png")]))
    report = checked(torn, whole)
    assert (report.rows, report.broken, report.broken_off) == (3, 2, 1)


def test_both_notes_of_a_part_of_a_clip_are_told(folder: Path) -> None:
    data = Path(write_clip(folder / "whole.mkv", 60, gop=6)).read_bytes()
    put(folder / "short.mkv", data[: len(data) * 2 // 3])
    (fault,) = checked(
        rows_file(folder, [pair("1", video={"path": "short.mkv", "end": 30})])
    ).faults
    assert "the part ends at 30 s" in fault.reason
    assert "of 6.0 s" in fault.reason
