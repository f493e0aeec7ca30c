from __future__ import annotations

import base64
import io
import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data_.test_records import json_values, sides

from unite.data.items import count_items, read_items
from unite.data.records import BadRow
from unite.errors import DataError
from unite.media.image import open_image
from unite.types import Clip, Item, Modality

TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


def png() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(held, "PNG")
    return held.getvalue()


def table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Path:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return Path("-")


def test_columns_are_the_keys_of_the_item_file(tmp_path: Path) -> None:
    clip = pa.struct([("path", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
    path = table(
        tmp_path / "t.parquet",
        {
            "idx": [7, 8, 9],
            "image": pa.array([["a.png", "b.png"], None, []], pa.list_(pa.string())),
            "text": ["<|IMAGE|> or <|IMAGE|>", None, "words"],
            "video": pa.array([None, {"path": "c.mp4", "start": 1.5}, {"path": None}], clip),
            "instruction": ["choose", None, None],
        },
    )
    both, video, words = read_items(path)
    at = str(tmp_path.resolve())
    assert both == Item(
        text="<|IMAGE|> or <|IMAGE|>",
        images=(f"{at}/a.png", f"{at}/b.png"),
        instruction="choose",
        order=(IMAGE, TEXT),
        id="7",
    )
    assert video == Item(videos=(Clip(f"{at}/c.mp4", 1.5, None),), id="8")
    assert words == Item(text="words", id="9")
    assert count_items(path) == 3


def test_pictures_that_lie_in_a_table(tmp_path: Path) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": png(), "path": "x.png"}, {"bytes": None, "path": "there.png"}, None]
    path = table(tmp_path / "t.parquet", {"image": pa.array(cells, struct)})
    held, there, nothing = read_items(path)
    assert isinstance(held, Item)
    uri = str(held.images[0])
    assert uri == f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    assert open_image(uri).image.getpixel((0, 0)) == (255, 0, 0)
    assert there == Item(images=(str(tmp_path.resolve() / "there.png"),), id="2")
    assert isinstance(nothing, BadRow)
    assert "empty" in nothing.error
    several = pa.array([[cells[0], cells[1]]], pa.list_(struct))
    (both,) = read_items(table(tmp_path / "u.parquet", {"image": several}))
    assert isinstance(both, Item)
    assert both.images == (uri, str(tmp_path.resolve() / "there.png"))


def test_a_column_of_whole_items_wins(tmp_path: Path) -> None:
    rows = ['{"image": "a.png", "text": "t"}', '{"id": "own", "text": "t"}', "{", None, "[1]"]
    columns = {"item": rows, "id": ["a", "b", "c", "d", "e"], "caption": ["unused"] * 5}
    first, own, *bad = read_items(table(tmp_path / "t.parquet", columns))
    assert first == Item(
        text="t", images=(str(tmp_path.resolve() / "a.png"),), order=(IMAGE, TEXT), id="a"
    )
    assert own == Item(text="t", id="own")
    assert [type(row) for row in bad] == [BadRow] * 3


def test_an_unknown_column_is_refused_at_once(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", {"text": ["a"], "imge": ["b"]})
    with pytest.raises(DataError, match=r"'imge'.*Did you mean 'image'"):
        next(read_items(path))


def test_a_cell_that_does_not_decode_costs_its_row(tmp_path: Path) -> None:
    broken = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    first, second, third = read_items(table(tmp_path / "t.parquet", {"text": broken}))
    assert (first, third) == (Item(text="a", id="1"), Item(text="c", id="3"))
    assert isinstance(second, BadRow)
    assert "decode" in second.error


def test_a_table_is_read_a_row_group_at_a_time(tmp_path: Path) -> None:
    """Bytes that were read show it: the first row costs a small part of the file."""
    words = [os.urandom(2000).hex() for _ in range(2000)]
    path = table(tmp_path / "t.parquet", {"text": words}, row_group_size=100)
    stream = read_items(path)
    before = pa.total_allocated_bytes()
    next(stream)
    assert pa.total_allocated_bytes() - before < path.stat().st_size / 4
    assert sum(1 for _ in stream) == 1999


def test_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    for read in (lambda path: next(read_items(path)), count_items):
        with pytest.raises(DataError, match=r"Cannot read .*t\.parquet"):
            read(tmp_path / "t.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "all"
    for name in ("b.PNG", "a/z.mp4", "a.txt", "c.md", "d.pdf", "noext", ".hidden.png", "e/x.avif"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"words")
    return root


def test_a_folder_is_what_lies_beneath_it_in_order(folder: Path) -> None:
    skipped: list[str] = []
    rows = list(read_items(folder, lambda path: skipped.append(path.name)))
    assert [row.id for row in rows] == ["a/z.mp4", "a.txt", "b.PNG", "c.md", "e/x.avif"]
    clip, words, picture, *_ = rows
    assert clip == Item(videos=(Clip(str(folder / "a/z.mp4")),), id="a/z.mp4")
    assert words == Item(text="words", id="a.txt")
    assert picture == Item(images=(str(folder / "b.PNG"),), id="b.PNG")
    assert skipped == ["d.pdf", "noext"]
    assert count_items(folder) == 5


def test_a_folder_that_leads_back_to_itself_ends(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    skipped: list[Path] = []
    assert len(list(read_items(folder, skipped.append))) == 5
    assert folder / "loop" in skipped


def test_what_cannot_be_read_in_a_folder_keeps_its_place(folder: Path) -> None:
    (folder / "c.md").write_bytes(b"\xff\xfe")
    (folder / "dead.png").symlink_to("nowhere")
    (folder / "dead.txt").symlink_to("nowhere")
    rows = {row.id: row for row in read_items(folder)}
    assert "UTF-8" in getattr(rows["c.md"], "error", "")
    assert isinstance(rows["dead.png"], Item)  # the model's decoder will say so
    assert "cannot be read" in getattr(rows["dead.txt"], "error", "")
    assert count_items(folder) == len(rows) == 7


def test_standard_input_is_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    lines = b'\xef\xbb\xbf{"image": "a.png"}\n\n{"text": "\xff"}\n{\n{"text": "last", "id": 4}'
    first, latin, broken, last = read_items(stdin(monkeypatch, lines))
    assert first == Item(images=(str(tmp_path / "a.png"),), id="1")
    assert (getattr(latin, "number", 0), getattr(broken, "number", 0)) == (3, 4)
    assert last == Item(text="last", id="4")
    assert count_items(Path("-")) is None


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    """The first row is here while the writer still holds the second back."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    more = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(b'{"text": "a"}\n')
            more.wait(200)
            file.write(b'{"text": "b"}\n')

    writer = threading.Thread(target=write)
    writer.start()
    assert count_items(pipe) is None
    rows = read_items(pipe)
    assert next(rows) == Item(text="a", id="1")
    assert not more.is_set()
    more.set()
    assert next(rows) == Item(text="b", id="2")
    writer.join()


@pytest.mark.parametrize(
    "form", ['\ufeff{"text": "a"}\n\n{"text": "b"}', ' \n[{"text": "a"}, 1]', ""]
)
def test_the_count_is_what_is_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "f").write_text(form, encoding="utf-8")
    assert count_items(tmp_path / "f") == len(list(read_items(tmp_path / "f")))


@pytest.mark.parametrize("name", ["one.PNG", "one.mp4"])
def test_a_picture_or_clip_is_an_input_of_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match="Cannot read"):
        count_items(path)
    path.write_bytes(png())
    (item,) = read_items(path)
    assert isinstance(item, Item)
    assert (item.id, count_items(path)) == (name, 1)
    assert item.modality == (IMAGE if name.endswith("PNG") else Modality.VIDEO)


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none"):
        count_items(tmp_path / "none.jsonl")


@settings(max_examples=100)
@given(st.lists(json_values | sides, max_size=6))
def test_as_many_rows_as_lines_whatever_they_hold(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    """The same rows as lines, as a pipe of lines and as a column of a table."""
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    rows = [row for row in rows if not isinstance(row, list)]
    lines = [json.dumps(row) for row in rows]
    (folder / "f.jsonl").write_text("".join(f"{line}\n" for line in lines))
    column = {"item": pa.array(lines, pa.string())}
    found = [
        list(read_items(folder / "f.jsonl")),
        list(read_items(table(folder / "f.parquet", column))),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found.append(list(read_items(stdin(patch, (folder / "f.jsonl").read_bytes()))))
    for one in found:
        assert len(one) == len(rows)
        assert Counter(map(type, one)) == Counter(map(type, found[0]))
    assert found[0] == found[2]
    assert [row for row in found[1] if isinstance(row, Item)] == [
        row for row in found[0] if isinstance(row, Item)
    ]


cells = st.none() | st.text(max_size=4)
clip_cells = st.none() | st.fixed_dictionaries(
    {"path": cells, "start": st.none() | st.floats(), "end": st.none() | st.floats()}
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(cells, st.none() | st.lists(cells, max_size=2), clip_cells), max_size=200)
)
def test_as_many_rows_as_a_table_has(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, Any, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    clip = pa.struct([("path", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
    columns = {
        "text": pa.array([row[0] for row in rows], pa.string()),
        "image": pa.array([row[1] for row in rows], pa.list_(pa.string())),
        "video": pa.array([row[2] for row in rows], clip),
    }
    found = list(read_items(table(path, columns, row_group_size=70)))
    assert len(found) == len(rows) == count_items(path)
