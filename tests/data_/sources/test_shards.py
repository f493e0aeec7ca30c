import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.data_.sources.conftest import CLIP, Read, bad, good, picture, put, shard

from unite.data.sources import Source, read_source
from unite.errors import DataError
from unite.types import Modality

RED, BLUE = picture("red"), picture("blue")


def test_a_sample_is_a_medium_and_its_caption(read: Read, tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("1.jpg", RED), ("1.txt", b" a red square\n"),
            ("2.mp4", CLIP.read_bytes()), ("2.json", b'{"caption": "a clip"}'),
            ("3.png", BLUE), ("3.json", b'{"captions": ["one", "two"]}'),
        ],
    )  # fmt: skip
    still, clip, one, two = good(read(path))
    assert still.query.text == "a red square"
    assert Path(str(still.candidate.images[0])).read_bytes() == RED
    assert clip.target_modality is Modality.VIDEO
    assert (one.query.text, two.query.text) == ("one", "two")
    assert one.candidate_id == two.candidate_id


def test_bad_samples_leave_their_neighbours(read: Read, tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("0.png", RED), ("0.txt", b"first"),
            ("1.png", RED),
            ("2.txt", b"no picture"),
            ("3.png", RED), ("3.txt", b"\xff\xfe"),
            ("4.png", RED), ("4.json", b"{"),
            ("5.png", RED), ("5.jpg", RED), ("5.txt", b"two pictures"),
            ("6.png", BLUE), ("6.txt", b"last"),
        ],
    )  # fmt: skip
    found = read(path)
    assert [pair.query.text for pair in good(found)] == ["first", "last"]
    assert [row.id for row in bad(found)] == [f"a.tar:{key}" for key in range(1, 6)]
    said = [row.error for row in bad(found)]
    for words, error in zip(
        ["no caption", "no picture", "not UTF-8", "not JSON", "several media"], said, strict=True
    ):
        assert words in error


def test_named_members_make_composed_pairs(read: Read, tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("1.from.png", RED),
            ("1.to.png", BLUE),
            ("1.json", json.dumps({"change": "make it blue"}).encode()),
        ],
    )
    (pair,) = good(read(path, query="from.png,json.change", candidate="to.png"))
    assert pair.query.text == "make it blue"
    assert Path(str(pair.query.images[0])).read_bytes() == RED
    assert Path(str(pair.candidate.images[0])).read_bytes() == BLUE
    (broken,) = bad(read(path, query="json.chang", candidate="to.png"))
    assert "Did you mean 'change'" in broken.error


def test_a_shard_that_breaks_off_says_so_and_the_next_is_read(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    whole = shard(
        folder / "a-0.tar",
        [(f"{key}.{end}", data) for key in range(3) for end, data in (("png", RED), ("txt", b"t"))],
    )
    shard(folder / "a-1.tar", [("9.png", BLUE), ("9.txt", b"ninth")])
    data = bytearray(whole.read_bytes())
    # A sample takes 2048 bytes: cut in a member, in a header, between two; a header that is damaged.
    damaged = data.copy()
    damaged[2048 + 148] ^= 1
    for broken in (data[: 512 * 5 + 100], data[: 2048 + 200], data[:2048], damaged):
        put(whole, bytes(broken))
        rows = iter(read_source(Source(path=folder), "named", tmp_path / "extracted"))
        found = [next(rows), next(rows)]
        with pytest.raises(DataError, match=r"a-0\.tar breaks off after 1 samples"):
            next(rows)
        assert [pair.query.text for pair in good(found)] == ["t", "ninth"]
    put(whole, b"no tar at all" * 100)
    with pytest.raises(DataError, match="breaks off after 0"):
        read(folder)


def test_a_packed_shard_is_read_to_its_end(read: Read, tmp_path: Path) -> None:
    plain = shard(tmp_path / "a.tar", [("1.png", RED), ("1.txt", b"one")])
    packed = put(tmp_path / "b.tar.gz", gzip.compress(plain.read_bytes()))
    assert [pair.query.text for pair in good(read(packed))] == ["one"]
    put(packed, packed.read_bytes()[: len(packed.read_bytes()) // 2])
    with pytest.raises(DataError, match="breaks off"):
        read(packed)


def test_braces_name_many_shards_and_a_missing_one_is_named(read: Read, tmp_path: Path) -> None:
    for number in range(3):
        shard(tmp_path / f"s-{number:03}.tar", [("1.png", RED), ("1.txt", str(number).encode())])
    found = good(read(tmp_path / "s-{000..002}.tar"))
    assert [pair.query.text for pair in found] == ["0", "1", "2"]
    with pytest.raises(DataError, match=r"There is no shard .*s-003\.tar"):
        read(tmp_path / "s-{000..004}.tar")


def test_without_the_extra_the_remedy_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", [("1.png", RED), ("1.txt", b"t")])
    code = (
        "import sys\nsys.modules['webdataset'] = None\n"
        "from pathlib import Path\nfrom unite.data.sources import Source, read_source\n"
        "from unite.errors import DataError\n"
        f"source = Source(path=Path({str(tmp_path / 'a.tar')!r}))\n"
        "try:\n    list(read_source(source, 's', Path('x')))\n"
        "except DataError as error:\n    print(error)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert 'pip install "unite-embed[webdataset]"' in said


def test_a_name_twice_costs_its_sample(read: Read, tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("0.png", RED), ("0.txt", b"first"),
            ("1.png", RED), ("1.txt", b"one"), ("1.txt", b"other"),
            ("2.png", BLUE), ("2.txt", b"last"),
        ],
    )  # fmt: skip
    found = read(path)
    assert [pair.query.text for pair in good(found)] == ["first", "last"]
    assert [(row.number, row.id) for row in bad(found)] == [(2, "a.tar:1")]
    assert "1.txt" in bad(found)[0].error
