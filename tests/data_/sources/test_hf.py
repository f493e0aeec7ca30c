import os
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.data_.sources.conftest import CLIP, Read, bad, good, lines, picture, put, table

from unite.data.sources import Source, source_files
from unite.errors import DataError
from unite.media.image import open_image
from unite.types import Clip, Modality

COLUMNS = {"query": "caption", "candidate": "image"}


def test_pictures_in_a_table_are_written_once_each(read: Read, tmp_path: Path) -> None:
    red, blue = picture("red"), picture("blue")
    path = table(
        tmp_path / "data" / "train-00000-of-00001.parquet",
        [
            {"caption": "red", "image": {"bytes": red, "path": "r.png"}},
            {"caption": "blue", "image": {"bytes": blue, "path": None}},
            {"caption": "red again", "image": {"bytes": red, "path": "other.png"}},
            {"caption": None, "image": None},
        ],
    )
    found = read(path, **COLUMNS)
    first, second, third = good(found)
    assert first.candidate_id == third.candidate_id != second.candidate_id
    files = [Path(str(pair.candidate.images[0])) for pair in (first, second)]
    assert [file.read_bytes() for file in files] == [red, blue]
    assert len([*(tmp_path / "extracted").rglob("*.*")]) == 2
    assert "empty" in bad(found)[0].error
    assert read(tmp_path / "data", kind="hf", **COLUMNS)[0] == first


def test_a_clip_in_a_table_is_known_by_its_bytes(read: Read, tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", [{"caption": "c", "image": {"bytes": CLIP.read_bytes()}}])
    (pair,) = good(read(path, **COLUMNS))
    assert pair.target_modality is Modality.VIDEO
    assert Path(pair.candidate.videos[0].path).read_bytes() == CLIP.read_bytes()


def test_a_saved_data_set_keeps_its_pictures_as_they_are(read: Read, tmp_path: Path) -> None:
    file = put(tmp_path / "p.png", picture("green"))
    features = datasets.Features({"caption": datasets.Value("string"), "image": datasets.Image()})
    rows = {"caption": ["a", "b"], "image": [str(file), Image.new("RGB", (5, 5), "red")]}
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(tmp_path / "saved")
    first, second = good(read(tmp_path / "saved", **COLUMNS))
    assert Path(str(first.candidate.images[0])).read_bytes() == picture("green")
    assert open_image(str(second.candidate.images[0])).image.size == (5, 5)
    parts = datasets.DatasetDict({"train": made, "test": made.select([0])})
    parts.save_to_disk(tmp_path / "parts")
    assert len(read(tmp_path / "parts", split="test", **COLUMNS)) == 1
    with pytest.raises(DataError, match=r"splits train, test.*Name one"):
        read(tmp_path / "parts", **COLUMNS)
    with pytest.raises(DataError, match="Did you mean 'train'"):
        read(tmp_path / "parts", split="trian", **COLUMNS)
    typo = bad(read(tmp_path / "saved", query="captions", candidate="image"))
    assert "no column 'captions'. Did you mean 'caption'?" in typo[0].error


def test_columns_of_paths_of_several_parts_and_of_several_captions(
    read: Read, tmp_path: Path
) -> None:
    path = put(
        tmp_path / "rows.jsonl",
        lines(
            [
                {"q": "make it red", "from": "a.png", "to": "b.jpg", "says": ["x", "y"]},
                {"q": "", "from": "a.png", "to": ["b.jpg", "c.jpg"], "says": []},
                {"q": "look.png", "from": "clip.MP4", "to": "b.jpg", "says": 5},
            ]
        ),
    )
    composed, alone, third = good(read(path, query="from,q", candidate="to"))
    assert composed.query.order == (Modality.IMAGE, Modality.TEXT)
    assert composed.query.images == (str(tmp_path / "a.png"),)
    assert alone.query.text is None
    assert alone.candidate.images == (str(tmp_path / "b.jpg"), str(tmp_path / "c.jpg"))
    assert third.query.images == (str(tmp_path / "look.png"),)
    assert third.query.videos == (Clip(str(tmp_path / "clip.MP4")),)
    forced = good(read(path, query="text:q", candidate="to"))
    assert [pair.query.text for pair in forced] == ["make it red", "look.png"]
    said = read(path, query="says", candidate="to")
    assert [pair.query.text for pair in good(said)] == ["x", "y"]
    assert len({pair.candidate_id for pair in good(said)}) == 1
    assert [row.number for row in bad(said)] == [2, 3]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl"])
def test_a_bad_line_costs_itself(read: Read, tmp_path: Path, name: str) -> None:
    mark = "\t" if name.endswith("tsv") else ","
    text = (
        lines([{"caption": "a", "image": "a.png"}]) + "{broken\n" + lines([{"caption": "b", "image": "b.png"}])
        if name.endswith("jsonl")
        else f'caption{mark}image\n"a"{mark}a.png\nonly one cell\n"b"{mark}b.png\n'
    )  # fmt: skip
    found = read(put(tmp_path / name, text), kind="hf", **COLUMNS)
    assert [pair.query.text for pair in good(found)] == ["a", "b"]
    assert [row.number for row in bad(found)] == [2]


def test_splits_of_a_folder_of_tables(read: Read, tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        table(tmp_path / "d" / "cfg" / f"{name}.parquet", [{"caption": name, "image": "a.png"}])
    put(tmp_path / "d" / "dataset_infos.json", '{"cfg": {}}')  # no rows
    with pytest.raises(DataError, match="has the splits train, test"):
        read(tmp_path / "d", **COLUMNS)
    train = good(read(tmp_path / "d", split="train", subset="cfg", **COLUMNS))
    assert [pair.query.text for pair in train] == ["train-00000-of-00002", "train-00001-of-00002"]
    with pytest.raises(DataError, match="no table of split 'dev'"):
        read(tmp_path / "d", split="dev", **COLUMNS)


def test_what_makes_a_pair_must_be_said(read: Read, tmp_path: Path) -> None:
    table(tmp_path / "t.parquet", [{"caption": "a", "image": "b.png"}])
    with pytest.raises(DataError, match="Give query and candidate"):
        read(tmp_path / "t.parquet", query="caption")
    with pytest.raises(DataError, match="Give query and candidate"):
        source_files(Source(path=tmp_path / "t.parquet"))


def test_a_hub_name_without_a_network_is_a_plain_error(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom unite.data.sources import Source, read_source\n"
        "from unite.errors import DataError\n"
        "source = Source(path=Path('nobody/nothing'), kind='hf', query='a', candidate='b')\n"
        "try:\n    list(read_source(source, 's', Path('x')))\n"
        "except DataError as error:\n    print(error)\n"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env=env)
    assert "Cannot read the data set nobody/nothing" in said
    assert "needs a network" in said


def test_a_stretch_of_a_clip_stays_one(read: Read, tmp_path: Path) -> None:
    cells = [{"path": "long.mp4", "start": 12, "end": 20.5}, {"path": "long.mp4"}, "long.mp4"]
    rows = [{"caption": f"{number}", "clip": cell} for number, cell in enumerate(cells)]
    path = put(tmp_path / "rows.jsonl", lines(rows))
    part, *wholes = (pair.candidate for pair in good(read(path, query="caption", candidate="clip")))
    assert part.videos == (Clip(str(tmp_path / "long.mp4"), 12.0, 20.5),)
    assert [item.videos for item in wholes] == [(Clip(str(tmp_path / "long.mp4")),)] * 2


def test_a_quote_that_is_never_closed_takes_no_rows_with_it(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", 'q,a\nfirst,1\nx,"Exit\nthird,3\nfourth,4\n')
    with pytest.raises(DataError, match=r"breaks off in row 2: a quote"):
        read(path, query="q", candidate="a")
    put(path, 'q,a\nfirst,1\n"STOP" sign,2\nthird,3\n')
    found = read(path, query="q", candidate="a")
    assert [pair.query.text for pair in good(found)] == ["first", "third"]
    assert "Row 2 is not CSV" in bad(found)[0].error


def test_a_cell_that_does_not_decode_costs_its_row_alone(read: Read, tmp_path: Path) -> None:
    words = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"q": words, "a": ["1", "2", "3"]}), path)
    found = read(path, query="q", candidate="a")
    assert [pair.query.text for pair in good(found)] == ["a", "c"]
    assert "cannot be decoded" in bad(found)[0].error


def test_bytes_are_no_text(read: Read, tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", [{"caption": b"\xff\xfe", "image": "a.png"}])
    (row,) = bad(read(path, query="text:caption", candidate="image"))
    assert "'caption' holds bytes" in row.error
