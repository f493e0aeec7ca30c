from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unite.data.items import count_items, read_items
from unite.data.records import (
    BadRow,
    canonical,
    content_id,
    item_row,
    pair_row,
    parse_item,
    parse_pair,
    parse_row,
    read_pairs,
    read_rows,
)
from unite.errors import DataError, ItemError
from unite.types import Clip, Item, Modality, Pair

TEXT, IMAGE, VIDEO = Modality.TEXT, Modality.IMAGE, Modality.VIDEO

text = st.text(max_size=8)
path = st.text(min_size=1, max_size=8)
seconds = st.floats(0.001, 1e6)


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    start = draw(st.none() | seconds)
    length = draw(st.none() | seconds)
    return Clip(draw(path), start, None if length is None else (start or 0.0) + length)


@st.composite
def items(draw: st.DrawFn) -> Item:
    parts = draw(st.sets(st.sampled_from([TEXT, IMAGE, VIDEO]), min_size=1))
    return Item(
        text=draw(text) if TEXT in parts else None,
        images=tuple(draw(st.lists(path, min_size=1, max_size=3))) if IMAGE in parts else (),
        videos=tuple(draw(st.lists(clips(), min_size=1, max_size=3))) if VIDEO in parts else (),
        instruction=draw(st.none() | text),
        order=tuple(draw(st.permutations(sorted(parts)))),
        id=draw(st.none() | text),
    )


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
sides = st.dictionaries(
    st.sampled_from(
        ["text", "image", "video", "id", "idx", "instruction", "target_modal", "path", "vdeo"]
    ),
    st.one_of(
        json_values,
        st.dictionaries(st.sampled_from(["path", "start", "end", "image", "video"]), json_values),
    ),
    max_size=4,
)
good = st.just({"text": "a"})
pairs = st.fixed_dictionaries(
    {"query": good | sides, "candidate": good | sides},
    optional={
        key: st.one_of(json_values, sides, st.lists(good | sides, max_size=2))
        for key in ("negative", "target_modal", "source", "query_id", "negative_id")
    },
)


@given(items())
def test_an_item_written_and_read_is_the_item(item: Item) -> None:
    row = json.loads(json.dumps(item_row(item)))
    assert parse_item(row) == item


@given(items())
def test_the_order_of_the_keys_is_the_order_of_the_parts(item: Item) -> None:
    row = item_row(item)
    keys = [key for key in row if key in ("text", "image", "video")]
    assert keys == [part.label for part in item.order]
    assert parse_item(dict(reversed(row.items()))).order == tuple(reversed(item.order))


@given(items(), items())
def test_content_ids_are_equal_where_all_but_the_id_is(one: Item, other: Item) -> None:
    def content(item: Item) -> tuple[object, ...]:
        return (item.text, item.images, item.videos, item.instruction, item.order)

    assert (content_id(one) == content_id(other)) == (content(one) == content(other))
    renamed = parse_item({**item_row(one), "id": "another"})
    assert content_id(renamed) == content_id(one)


def test_content_ids_tell_the_parts_apart() -> None:
    alike = [
        Item(text="a"), Item(text="a", instruction=""), Item(images=("a",)), Item(images=("a", "a")),
        Item(videos=(Clip("a"),)), Item(videos=(Clip("a", 1.0),)), Item(videos=(Clip("a", None, 1.0),)),
        Item(text="a", images=("a",)), Item(text="a", images=("a",), order=(IMAGE, TEXT)),
        Item(text="", images=("a",)), Item(text="", instruction="a"), Item(text=" a"),
    ]  # fmt: skip
    assert len({content_id(item) for item in alike}) == len(alike)


@pytest.mark.parametrize(
    ("row", "item"),
    [
        ({"text": "t", "idx": 7}, Item(text="t", id="7")),
        ({"text": "t", "id": None, "idx": 7}, Item(text="t", id="7")),
        ({"text": "t", "id": 0, "idx": 7}, Item(text="t", id="0")),
        ({"image": "a.png"}, Item(images=("a.png",))),
        ({"image": {"image": "a.png"}}, Item(images=("a.png",))),
        ({"image": ["a.png", {"image": "b.png"}]}, Item(images=("a.png", "b.png"))),
        ({"video": {"video": "a.mp4"}}, Item(videos=(Clip("a.mp4"),))),
        ({"video": {"path": "a.mp4", "start": 1, "end": 2.5}}, Item(videos=(Clip("a.mp4", 1.0, 2.5),))),
        ({"video": {"path": "a.mp4", "end": 2}}, Item(videos=(Clip("a.mp4", None, 2.0),))),
        ({"text": "t", "image": None, "video": None}, Item(text="t")),
        ({"text": "t", "image": [], "video": []}, Item(text="t")),
        ({"text": None, "image": "a.png", "instruction": None}, Item(images=("a.png",))),
        ({"image": "a.png", "text": "t"}, Item(text="t", images=("a.png",), order=(IMAGE, TEXT))),
        ({"text": "", "target_modal": "text,image"}, Item(text="")),
    ],
)  # fmt: skip
def test_released_and_hand_written_forms(row: dict[str, Any], item: Item) -> None:
    assert parse_item(row) == item


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"txt": "a"}, "'txt'.*Did you mean 'text'"),
        ({"imge": "a"}, "'imge'.*Did you mean 'image'"),
        ({"text": 3}, "'text' is a string, not int"),
        ({"text": ["a"]}, "'text' is a string, not list"),
        ({"text": "a", "instruction": {}}, "'instruction' is a string, not dict"),
        ({"image": 3}, "'image' is a path or a list of paths, not 3"),
        ({"image": ""}, "'image' is a path"),
        ({"image": [None]}, "'image' is a path"),
        ({"image": {"path": "a"}}, "'image' is a path"),
        ({"video": {"path": "a", "begin": 1}}, "Unknown key 'begin' in the clip"),
        ({"video": {"path": "a", "start": "1"}}, "'start' is a time in seconds, not '1'"),
        ({"video": {"path": "a", "start": True}}, "'start' is a time"),
        ({"video": {"path": "a", "start": -1}}, "'start' is a time"),
        ({"video": {"path": "a", "end": float("nan")}}, "'end' is a time"),
        ({"video": {"path": "a", "start": 2, "end": 2}}, "ends at 2.0 s, before it starts"),
        ({"video": {"path": "a", "end": 0}}, "ends at 0.0 s"),
        ({}, "empty"),
        ({"id": 1, "text": None}, "empty"),
        ("a", "JSON object, not str"),
        (None, "JSON object, not NoneType"),
        ([{"text": "a"}], "JSON object, not list"),
    ],
)
def test_rows_that_are_no_items_are_refused(row: Any, message: str) -> None:
    with pytest.raises(ItemError, match=message):
        parse_item(row)


def test_relative_paths_stand_beside_the_file(tmp_path: Path) -> None:
    elsewhere = str(tmp_path.parent / "a.png")
    uri = "data:image/png;base64,AAAA"
    item = parse_item(
        {"image": ["a.png", "sub/b.png", elsewhere, uri, "https://x/y.png"], "text": "a.png"},
        tmp_path,
    )
    expected = (str(tmp_path / "a.png"), str(tmp_path / "sub/b.png"), elsewhere, uri)
    assert item.images == (*expected, "https://x/y.png")
    assert item.text == "a.png"
    clip = parse_item({"video": {"path": "c.mp4", "start": 1}}, tmp_path).videos[0]
    assert clip == Clip(str(tmp_path / "c.mp4"), 1.0)


@settings(max_examples=400)
@given(json_values | sides)
def test_no_row_whatever_raises(row: Any) -> None:
    found = parse_row(3, row, Path("folder"))
    assert isinstance(found, Item | BadRow)
    if isinstance(found, BadRow):
        assert found.number == 3
        assert found.error
    else:
        assert found.id is not None


@settings(max_examples=400)
@given(json_values | pairs)
def test_a_bad_pair_is_refused_by_our_own_errors_only(row: Any) -> None:
    try:
        pair = parse_pair(row, None, "s")
    except (DataError, ItemError):
        return
    assert len(pair.negative_ids) == len(pair.negatives)


@given(st.lists(json_values | sides, max_size=6))
def test_an_array_and_lines_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "forms"
    folder.mkdir(exist_ok=True)
    # A row that is a list would make the first line look like an array.
    rows = [row for row in rows if not isinstance(row, list)]
    (folder / "array.json").write_text(json.dumps(rows))
    (folder / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    array, lines = (list(read_items(folder / name)) for name in ("array.json", "lines.jsonl"))
    assert array == lines
    assert len(array) == len(rows)


def test_a_bad_row_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text(
        '{"text": "first", "id": "one"}\n'
        "{not json\n"
        "\n"
        '{"txt": "typo", "id": "three"}\n'
        '{"text": "null id", "id": null}\n'
        '{"text": "last", "instruction": null}'
    )
    first, second, fourth, fifth, last = read_items(file)
    assert first == Item(text="first", id="one")
    assert isinstance(second, BadRow)
    assert (second.number, second.id) == (2, "2")
    assert second.error.startswith("Line 2 is not JSON")
    assert isinstance(fourth, BadRow)
    assert (fourth.number, fourth.id) == (4, "three")
    assert "Did you mean 'text'?" in fourth.error
    assert fifth == Item(text="null id", id="5")
    assert last == Item(text="last", id="6")


def test_a_line_separator_in_a_string_ends_no_row(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    odd = "a\u2028b\u2029c\x85d\x0ce"
    file.write_text(json.dumps({"text": odd}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [item.text for item in read_items(file)] == [odd]  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ['{"text": "a"}\r\n{"text": "b"}\r\n', '[{"text": "a"},\r\n {"text": "b"}]'])  # fmt: skip
def test_windows_line_ends(tmp_path: Path, form: str) -> None:
    (tmp_path / "f").write_bytes(form.encode())
    assert [item.text for item in read_items(tmp_path / "f")] == ["a", "b"]  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ['{"text": "a"}\n{"text": "b"}', ' \n[{"text": "a"}, {"text": "b"}]'])  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_or_white_space_before_the_rows(
    tmp_path: Path, form: str, mark: str
) -> None:
    (tmp_path / "f").write_text(mark + form, encoding="utf-8")
    assert [getattr(row, "text", row) for row in read_items(tmp_path / "f")] == ["a", "b"]


def test_files_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read .*none\.jsonl"):
        list(read_rows(tmp_path / "none.jsonl"))
    (tmp_path / "broken.json").write_text('[{"text": "a"},')
    with pytest.raises(DataError, match=r"broken\.json is not valid JSON"):
        list(read_rows(tmp_path / "broken.json"))
    (tmp_path / "empty.jsonl").write_text("\n")
    assert list(read_rows(tmp_path / "empty.jsonl")) == []


def test_an_array_of_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('[{"text": "é"}]'.encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.json"):
        list(read_rows(tmp_path / "latin.json"))


def test_a_line_of_another_encoding_costs_itself(tmp_path: Path) -> None:
    lines = ['{"text": "é"}'.encode(), '{"text": "é"}'.encode("latin-1"), b'{"text": "b"}']
    (tmp_path / "mixed.jsonl").write_bytes(b"\n".join(lines))
    first, second, third = read_items(tmp_path / "mixed.jsonl")
    assert (first, third) == (Item(text="é", id="1"), Item(text="b", id="3"))
    assert isinstance(second, BadRow)
    assert "not UTF-8: byte 11 of line 2" in second.error


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_may(tmp_path: Path, end: str) -> None:
    (tmp_path / "f.jsonl").write_bytes(
        end.join(['{"text": "a"}', "", '{"text": "b"}', ""]).encode()
    )
    assert [number for number, _ in read_rows(tmp_path / "f.jsonl")] == [1, 3]
    assert count_items(tmp_path / "f.jsonl") == 2


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\xef\xbb\xbf \r\n"])
def test_a_byte_order_mark_alone_is_no_row(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "f.jsonl").write_bytes(text)
    assert list(read_rows(tmp_path / "f.jsonl")) == []
    assert count_items(tmp_path / "f.jsonl") == 0


@pytest.mark.parametrize("form", ['{"text": "a"}\n{"text": "b"}', '[{"text": "a"}]'])
@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_by_name(tmp_path: Path, form: str, mark: str) -> None:
    (tmp_path / "f.jsonl").write_bytes(("\ufeff" + form).encode(mark))
    with pytest.raises(DataError, match=r"f\.jsonl is not UTF-8 but UTF-16"):
        list(read_rows(tmp_path / "f.jsonl"))


def test_however_much_white_space_stands_before_an_array(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_bytes(b"\xef\xbb\xbf" + b" \n" * (1 << 20) + b'[{"text": "a"}]')
    assert list(read_items(tmp_path / "f.json")) == [Item(text="a", id="1")]
    assert count_items(tmp_path / "f.json") == 1


def test_spelling_and_order_make_no_other_content(tmp_path: Path) -> None:
    page = {"text": "t", "image": ".//a.png"}
    row = {"query": page, "candidate": {"image": "./a.png", "text": "t"}}
    pair = parse_pair(row, tmp_path)
    assert pair.query_id == pair.candidate_id
    row["query"] = {**page, "instruction": "find the page:"}
    assert parse_pair(row, tmp_path).query_id != pair.query_id
    clip = {"video": {"path": "b/./c.mp4", "start": 1}}
    row = {"query": clip, "candidate": {"video": {"path": "b/c.mp4", "start": 1.0}}}
    pair = parse_pair(row, tmp_path)
    assert pair.query_id == pair.candidate_id
    for kept in ("https://a//b", "DATA:image/png;base64,a//b", "link/../b"):
        assert canonical(Item(images=(kept,))).images == (kept,)


@pytest.mark.parametrize("line", ['{"text": ' + "1" * 5000 + "}", '{"text": ' + "[" * 200_000])
def test_lines_beyond_the_parser_are_bad_rows(tmp_path: Path, line: str) -> None:
    (tmp_path / "f.jsonl").write_text(line + '\n{"text": "b"}\n')
    bad, good = read_items(tmp_path / "f.jsonl")
    assert isinstance(bad, BadRow)
    assert good == Item(text="b", id="2")


def test_a_pair_and_its_defaults() -> None:
    row = {
        "query": {"text": "find <|IMAGE|>", "image": "q.png"},
        "candidate": {"image": "c.png"},
        "negative": {"image": "n.png"},
    }
    pair = parse_pair(row, Path("d"), "set")
    assert pair.query.images == ("d/q.png",)
    assert pair.target_modality is IMAGE
    assert pair.source == "set"
    assert pair.query_id == content_id(pair.query)
    assert pair.candidate_id == content_id(pair.candidate)
    assert pair.negative_ids == (content_id(pair.negatives[0]),)


def test_a_pair_with_everything_given() -> None:
    row = {
        "query": {"text": "a"}, "candidate": {"text": "b", "image": "c"},
        "negative": [{"text": "n"}, {"text": "m"}], "negative_id": [1, "2"],
        "target_modal": "image,text", "source": "mine", "query_id": 5, "candidate_id": "x",
    }  # fmt: skip
    pair = parse_pair(row, None, "set")
    assert pair.target_modality == TEXT | IMAGE
    assert (pair.source, pair.query_id, pair.candidate_id) == ("mine", "5", "x")
    assert pair.negative_ids == ("1", "2")
    assert [item.text for item in pair.negatives] == ["n", "m"]


def test_the_number_zero_is_an_id() -> None:
    row = {"query": {"text": "a"}, "candidate": {"text": "b"}, "query_id": 0, "candidate_id": 0}
    pair = parse_pair(row)
    assert (pair.query_id, pair.candidate_id) == ("0", "0")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": {"text": "a"}}, "'query' and 'candidate'"),
        ([1], "'query' and 'candidate'"),
        ({"query": {"text": "a"}, "candidate": {"text": "b"}, "negatve": {}}, "'negative'"),
        ({"query": {"text": "a"}, "candidate": {"text": "b"}, "target_modal": "txt"}, "'text'"),
        ({"query": {"text": "a"}, "candidate": {}}, "empty"),
        (
            {"query": {"text": "a"}, "candidate": {"text": "b"}, "negative": {"text": "c"}, "negative_id": [1, 2]},
            "1 negatives but 2 negative ids",
        ),
    ],
)  # fmt: skip
def test_rows_that_are_no_pairs_are_refused(row: Any, message: str) -> None:
    with pytest.raises((DataError, ItemError), match=message):
        parse_pair(row)


def test_a_pair_file_names_the_row_that_is_wrong(tmp_path: Path) -> None:
    good = {"query": {"text": "a"}, "candidate": {"video": "v.mp4"}}
    (tmp_path / "set.json").write_text(json.dumps([good, good]))
    pairs = read_pairs(tmp_path / "set.json")
    assert [pair.source for pair in pairs] == ["set", "set"]
    assert pairs[0].candidate.videos == (Clip(str(tmp_path.resolve() / "v.mp4")),)
    assert read_pairs(tmp_path / "set.json", "other")[0].source == "other"
    for bad in ({"query": {"text": "a"}}, {**good, "query": {"text": 1}}, 5):
        (tmp_path / "set.json").write_text(json.dumps([good, bad]))
        with pytest.raises(DataError, match=r"set\.json, row 2:"):
            read_pairs(tmp_path / "set.json")
    (tmp_path / "set.jsonl").write_text(json.dumps(good) + "\n{")
    with pytest.raises(DataError, match="Line 2 is not JSON"):
        read_pairs(tmp_path / "set.jsonl")


def test_pictures_in_memory_have_content_too() -> None:
    red, blue = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    assert content_id(Item(images=(red,))) != content_id(Item(images=(blue,)))
    assert content_id(Item(images=(red,))) == content_id(Item(images=(red,)))


@st.composite
def whole_pairs(draw: st.DrawFn) -> Pair:
    negatives = tuple(draw(st.lists(items(), max_size=2)))
    ids = st.text(min_size=1, max_size=4)
    also = draw(st.just(()) | st.tuples(*[ids] * len(negatives)))
    return Pair(
        query=draw(items()),
        candidate=draw(items()),
        negatives=negatives,
        target_modality=draw(st.sampled_from([Modality(bits) for bits in range(1, 8)])),
        query_id=draw(ids),
        candidate_id=draw(ids),
        negative_ids=tuple(draw(ids) for _ in negatives),
        source=draw(text),
        candidate_also_id=draw(st.none() | text),
        negative_also_ids=also,
    )


@given(whole_pairs())
def test_a_pair_written_and_read_is_the_pair(pair: Pair) -> None:
    assert parse_pair(json.loads(json.dumps(pair_row(pair)))) == pair
