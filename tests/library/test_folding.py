from __future__ import annotations

from dataclasses import replace

from unite.library.folding import file_of, fold
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


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == []
