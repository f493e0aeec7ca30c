from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.library.fusion import LEAST, blended, even, favouring, fuse
from unite.stores.protocol import Found, Record
from unite.types import Modality


def hit(name: str, label: str, score: float) -> Found:
    record = Record(
        id=name, path=name, source=name, digest=name, modality=label, size=1, mtime_ns=1
    )
    return Found(record, score)


def hits(label: str, count: int, top: float = 0.9) -> list[Found]:
    return [hit(f"{label}{n:03}", label, top - n / 1000) for n in range(count)]


def names(found: list[Found]) -> list[str]:
    return [one.record.id for one in found]


def test_equal_shares_interleave_and_ties_stand_by_score_then_id() -> None:
    lists = {
        "image": [hit("b", "image", 0.5), hit("d", "image", 0.1)],
        "video": [hit("a", "video", 0.5)],
        "text": [hit("c", "text", 0.9)],
    }
    assert names(fuse(lists, even([*lists]))) == ["c", "a", "b", "d"]
    assert fuse({}, {}) == fuse({"image": []}, {"image": 1.0}) == []


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
def test_places_go_by_share(share: float) -> None:
    lists = {"image": hits("image", 200), "video": hits("video", 200, top=0.1)}
    first = fuse(lists, {"image": share, "video": 1 - share})[:100]
    assert Counter(one.record.modality for one in first)["image"] == pytest.approx(
        100 * share, abs=1
    )


def test_scale_of_shares_means_nothing_and_the_least_wanted_is_still_found() -> None:
    lists = {"image": hits("image", 5), "video": hits("video", 5)}
    found = fuse(lists, {"image": 1.0, "video": 1e-12})
    assert names(found) == names(lists["image"] + lists["video"])
    assert names(fuse(lists, {"image": 3.0, "video": 1.0})) == names(
        fuse(lists, {"image": 0.75, "video": 0.25})
    )
    assert LEAST < 0.01


shares = st.fixed_dictionaries({label: st.floats(1e-6, 1) for label in ("a", "b", "c")})


@given(shares, st.integers(1, 12), st.integers(0, 12))
def test_deeper_lists_leave_the_first_places_alone(
    share: dict[str, float], depth: int, further: int
) -> None:
    lists = {label: hits(label, 24, top) for label, top in (("a", 0.9), ("b", 0.5), ("c", 0.2))}
    short = fuse({label: found[:depth] for label, found in lists.items()}, share)
    long = fuse({label: found[: depth + further] for label, found in lists.items()}, share)
    assert names(short[:depth]) == names(long[:depth])


def test_what_words_name_gets_its_share() -> None:
    labels = ["image", "text", "text+image", "video"]
    found = favouring(Modality.VIDEO, labels, 0.9)
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert found["video"] == pytest.approx(0.9)
    assert found["text"] == found["image"] == pytest.approx(0.1 / 3)
    pictures = favouring(Modality.IMAGE, labels, 0.9)
    assert pictures is not None
    assert pictures["image"] == pytest.approx(2 * pictures["text+image"]) == pytest.approx(0.6)
    assert favouring(Modality.IMAGE, ["text+image", "image"], 0.9) is not None
    assert favouring(Modality.VIDEO, ["image", "text"], 0.9) is None


def test_what_is_not_trusted_is_even() -> None:
    assert blended({"a": 3.0, "b": 1.0}, 1.0) == {"a": 0.75, "b": 0.25}
    assert blended({"a": 3.0, "b": 1.0}, 0.0) == {"a": 0.5, "b": 0.5}
    assert blended({"a": 1.0, "b": 0.0}, 0.8) == pytest.approx({"a": 0.9, "b": 0.1})
