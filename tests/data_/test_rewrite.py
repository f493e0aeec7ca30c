import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unite.data.records import pair_row, parse_pair, read_pairs
from unite.data.rewrite import moved, read_pair_rows, settled, write_lines
from unite.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"query": {"text": "a"}, "candidate": {"image": "../media/a.png"}},
    {
        "query": {"image": ["b.png", {"image": "a b/ü.png"}], "text": "", "instruction": "find:"},
        "candidate": {"video": {"path": "./x/../c.mp4", "start": 1.0, "end": 2.5}, "text": "t"},
        "negative": [{"text": "n"}, {"video": ["d.mp4", "e.mp4"], "idx": 3}],
        "target_modal": "text,video",
        "source": "mine",
        "query_id": 5,
        "candidate_id": "c",
        "candidate_also_id": "d",
        "negative_id": ["n1", "n2"],
        "negative_also_id": ["m1", "m2"],
    },
    {"query": {"image": "data:image/png;base64,AA"}, "candidate": {"image": "file:///x/../a.png"}},
    {"query": {"text": "\ud800"}, "candidate": {"image": "/far/away.png"}, "negative": None},
]


def paths(row: Path) -> list[Path]:
    (pair,) = read_pairs(row)
    sides = (pair.query, pair.candidate, *pair.negatives)
    images = [str(ref) for side in sides for ref in side.images]
    return [Path(name) for name in (*images, *(c.path for side in sides for c in side.videos))]


@pytest.mark.parametrize("row", ROWS)
def test_a_pair_written_and_read_is_the_same_pair(row: dict[str, Any]) -> None:
    pair = parse_pair(row, source="s")
    again = json.loads(json.dumps(pair_row(pair)))
    assert parse_pair(again) == pair
    assert pair_row(parse_pair(again)) == again


@pytest.mark.parametrize("where", ["beside.jsonl", "below/it/out.jsonl", "../elsewhere/out.jsonl"])
def test_media_are_found_from_wherever_it_is_written(where: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "train"
    (folder / "x").mkdir(parents=True)
    (tmp_path / "data" / "media").mkdir()
    for name in ("b.png", "c.mp4", "../media/a.png"):
        (folder / name).write_text(name)
    row = {
        "query": {"image": "b.png"},
        "candidate": {"video": {"path": "x/../c.mp4", "start": 1}},
        "negative": {"image": "../media/a.png"},
    }
    source, out = folder / "pairs.json", folder / where
    source.write_text(json.dumps([row]))
    (read,) = read_pair_rows(source)
    assert read.pair is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(pair_row(moved(read.pair, out.parent.resolve())))
    assert str(tmp_path) not in text  # relative, so that the whole can be moved
    write_lines(out, [text])
    names = sorted(path.read_text() for path in paths(out))
    assert names == ["../media/a.png", "b.png", "c.mp4"]
    (tmp_path / "data").rename(tmp_path / "moved")
    if where != "../elsewhere/out.jsonl":
        moved_out = tmp_path / "moved" / "train" / where
        assert all(path.exists() for path in paths(moved_out))


def test_ids_outlive_the_move(tmp_path: Path) -> None:
    """A hash of a side would be another from another folder; and the loss masks by it."""
    source = tmp_path / "pairs.json"
    source.write_text(json.dumps(ROWS))
    for row, pair in zip(read_pair_rows(source), read_pairs(source), strict=True):
        assert row.pair is not None
        far = parse_pair(pair_row(moved(row.pair, tmp_path / "far")), tmp_path / "far")
        ids = (pair.query_id, pair.candidate_id, pair.negative_ids, pair.negative_also_ids)
        assert (far.query_id, far.candidate_id, far.negative_ids, far.negative_also_ids) == ids
        assert far.source == pair.source


def test_one_file_has_one_path(tmp_path: Path) -> None:
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sub")
    (tmp_path / "real" / "a.png").write_text("blob")
    (tmp_path / "real" / "named.png").symlink_to("a.png")
    names = ["real/a.png", "./real/sub/../a.png", "link/../a.png"]
    pairs = [
        settled(parse_pair({"query": {"text": "q"}, "candidate": {"image": name}}, tmp_path))
        for name in names
    ]
    want = str(tmp_path.resolve() / "real" / "a.png")
    assert {pair.candidate.images for pair in pairs} == {(want,)}
    row = {"query": {"text": "q"}, "candidate": {"image": "real/named.png"}}
    assert settled(parse_pair(row, tmp_path)).candidate.images[0] != want


def test_odd_paths_and_addresses_stay(tmp_path: Path) -> None:
    for name in ("data:image/png;base64,AA", "https://x/../y.png", "a\0/b.png"):
        row = {"query": {"text": "q"}, "candidate": {"image": name}}
        pair = settled(parse_pair(row))
        assert pair.candidate.images[0] in (name, str(Path(name)))


def test_broken_rows_keep_their_places_and_words(tmp_path: Path) -> None:
    good = json.dumps(ROWS[0])
    lines = [
        good,
        '{"query": {"text": "a"',
        "",
        '{"query": {"txt": 1}, "candidate": {}}',
        "3",
        good,
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    rows = list(read_pair_rows(path))
    assert [row.number for row in rows] == [1, 2, 4, 5, 6]
    assert [row.pair is not None for row in rows] == [True, False, False, False, True]
    assert [row.text for row in rows[1:4]] == [lines[1], lines[3], lines[4]]
    assert "not JSON" in rows[1].error
    assert "'txt'" in rows[2].error
    array = tmp_path / "pairs.json"
    array.write_text(json.dumps([ROWS[0], {"query": 1, "candidate": {}}]))
    assert [(row.text, bool(row.error)) for row in read_pair_rows(array)] == [
        ("", False),
        ('{"query": 1, "candidate": {}}', True),
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json"):
        list(read_pair_rows(tmp_path / "none.json"))


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    write_lines(path, ["a", "ü"])
    assert path.read_bytes() == "a\nü\n".encode()

    def cut() -> Iterator[str]:
        yield "b"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(path, cut())
    assert path.read_bytes() == "a\nü\n".encode()
    write_lines(path, [])
    assert path.read_bytes() == b""
    assert [part.name for part in path.parent.iterdir()] == ["out.jsonl"]


def test_lines_are_kept_to_the_byte_and_in_their_places(tmp_path: Path) -> None:
    """Of another encoding, and after line ends of every kind."""
    good = b'{"query": {"text": "a"}, "candidate": {"text": "b"}}'
    odd = '{"query": {"text": "é"}}'.encode("latin-1")
    (tmp_path / "p.jsonl").write_bytes(b"\r\r\n".join([good, odd, b"no json", good]))
    rows = list(read_pair_rows(tmp_path / "p.jsonl"))
    assert [row.number for row in rows] == [1, 3, 5, 7]
    assert [row.pair is None for row in rows] == [False, True, True, False]
    write_lines(tmp_path / "out.jsonl", [row.text for row in rows if row.pair is None])
    assert (tmp_path / "out.jsonl").read_bytes() == odd + b"\nno json\n"
