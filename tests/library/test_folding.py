from __future__ import annotations

from dataclasses import replace

from unite.library.folding import file_of, fold, joined
from unite.library.parts import FILE
from unite.stores.protocol import Found, Record

PLAIN = Record(id="a", path="a", source="a", digest="a", modality="image", size=1, mtime_ns=1)


def found(name: str, source: str = "", digest: str = "", modality: str = "image") -> Found:
    record = replace(
        PLAIN, id=name, path=source or name, source=source or name, digest=digest or name,
        modality=modality,
    )  # fmt: skip
    return Found(record, 0.5)


def told(hits: list[Found]) -> list[tuple[str, int, list[str]]]:
    return [(hit.found.record.id, hit.segments, hit.copies) for hit in fold(hits)]


def test_parts_stand_behind_the_best_of_them() -> None:
    hits = [found("v#2", "v"), found("x"), found("v#1", "v"), found("v", "v")]
    assert told(hits) == [("v#2", 2, []), ("x", 0, [])]


def test_equal_contents_stand_together_and_a_copied_clips_other_parts_too() -> None:
    hits = [
        found("v#2", "v", "two"), found("w#2", "w", "two"),
        found("w#1", "w", "one"), found("v#1", "v", "one"), found("x", digest="x"),
    ]  # fmt: skip
    assert told(hits) == [("v#2", 1, ["w"]), ("x", 0, [])]


def test_the_same_digest_of_another_modality_is_no_copy() -> None:
    assert len(fold([found("a", digest="d"), found("b", digest="d", modality="text+image")])) == 2


def test_rows_of_an_item_file_are_things_of_their_own() -> None:
    rows = [found("list.jsonl#1", "list.jsonl"), found("list.jsonl#2", "list.jsonl")]
    assert told(rows) == [("list.jsonl#1", 0, []), ("list.jsonl#2", 0, [])]
    assert file_of(rows[0].record) == "list.jsonl#1"


def passage(file: str, number: int, digest: str, meta: str = "") -> Found:
    """One of three passages of a text."""
    name = f"{file}#{number}"
    one = found(name, file, digest, "text")
    record = replace(one.record, parts=3, meta={FILE: meta} if meta else {})
    return Found(record, 0.5)


def test_texts_that_share_a_passage_are_no_copies() -> None:
    letters = [passage("a.txt", 3, "signature", "A"), passage("b.txt", 3, "signature", "B")]
    assert told(letters) == [("a.txt#3", 0, []), ("b.txt#3", 0, [])]
    assert len(told([passage("a.txt", 3, "signature"), passage("b.txt", 3, "signature")])) == 2
    copied = [passage("a.txt", 3, "signature", "A"), passage("b.txt", 1, "greeting", "A")]
    assert told([*copied, passage("b.txt", 2, "body", "A")]) == [("a.txt#3", 0, ["b.txt"])]


def test_a_file_is_no_copy_of_itself() -> None:
    rows = [found(f"list.csv#{n}", "list.csv", "same") for n in (1, 2, 3)]
    named = [Found(replace(one.record, path="a.png", parts=3), 0.5) for one in rows]
    other = Found(replace(named[0].record, id="list.csv#4", path="b.png"), 0.5)
    assert told([*named, other, other]) == [("list.csv#1", 0, ["b.png"])]


def test_many_copies_are_not_compared_each_with_each() -> None:
    hashed = 0

    class Path(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal hashed
            hashed += 1
            return super().__hash__()

    copies = [found(f"{number}.png", digest="same") for number in range(1000)]
    named = [Found(replace(one.record, path=Path(one.record.path)), 0.5) for one in copies]
    (hit,) = fold(named)
    assert len(hit.copies) == 999
    assert hashed < 10 * len(named)


def test_what_hits_stood_for_is_kept_when_they_are_folded_again() -> None:
    captioned = found("c.mp4", "c.mp4", "both", "text+video")
    parts = [found(f"{file}#{n}", file, f"cut {n}", "video") for n in (1, 2) for file in "cd"]
    parts = [
        Found(replace(one.record, start=1.0, path=f"{one.record.source}.mp4",
                      source=f"{one.record.source}.mp4"), 0.5)
        for one in parts
    ]  # fmt: skip
    one_list = fold([captioned, *parts])
    two_lists = joined([*fold([captioned]), *fold(parts)])
    for hits in (one_list, two_lists):
        assert (hits[0].found.record.id, hits[0].segments) == ("c.mp4", 2)
    assert two_lists[0].copies == ["d.mp4"]


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == []
