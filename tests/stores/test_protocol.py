from __future__ import annotations

import numpy as np
import pytest

from unite.errors import LibraryError
from unite.stores.protocol import EVERYTHING, Filter, Found, Row, check_query, stack

from .conftest import record, unit


@pytest.mark.parametrize(
    ("glob", "path", "admitted"),
    [
        ("*.png", "/a/b.png", True),
        ("*.png", "/a/b.PNG", False),
        ("*.png", "/a/b.png.bak", False),
        ("/a/?.png", "/a/b.png", True),
        ("/a/?.png", "/a/bb.png", False),
        ("/a/*", "/a/deep/er/b.png", True),
        ("*[x]*", "/a/[x].png", True),
        ("*[x]*", "/a/x.png", False),
        ("*.png", "/a/line\nbreak.png", True),
        ("/a.b", "/aXb", False),
        ("", "/a", False),
        ("*", "", True),
    ],
)
def test_a_glob_speaks_of_the_whole_path(glob: str, path: str, admitted: bool) -> None:
    assert Filter(glob=glob).admits(record("r", path=path)) is admitted


def test_labels_are_compared_whole() -> None:
    fused = record("r", modality="text+image")
    assert Filter(frozenset({"text+image"})).admits(fused)
    assert not Filter(frozenset({"text", "image"})).admits(fused)
    assert not Filter(frozenset()).admits(fused)
    assert EVERYTHING.admits(fused)


def test_both_conditions_hold_together() -> None:
    where = Filter(frozenset({"image"}), "*.png")
    assert where.admits(record("r", path="/a.png"))
    assert not where.admits(record("r", path="/a.jpg"))
    assert not where.admits(record("r", path="/a.png", modality="text"))


def test_a_found_record_becomes_a_hit() -> None:
    hit = Found(record("r", path="/c.mp4", modality="video", start=1.0, end=2.5), 0.5).hit
    assert (hit.id, hit.path, hit.modality, hit.score) == ("r", "/c.mp4", "video", 0.5)
    assert (hit.start, hit.end) == (1.0, 2.5)


def test_stack_refuses_what_is_no_vector_of_the_store() -> None:
    good = unit(4)
    with pytest.raises(LibraryError, match=r"/p has shape \(3,\).*holds \(4,\)"):
        stack([Row(record("/p"), good[:3])], 4)
    with pytest.raises(LibraryError, match="not finite"):
        stack([Row(record("/p"), np.full(4, np.nan, np.float32))], 4)
    assert stack([], 4).shape == (0, 4)
    assert stack([Row(record("/p"), good.astype(np.float64))], 4).dtype == np.float32


def test_a_query_is_checked_like_a_row() -> None:
    assert check_query(unit(4), 4).shape == (1, 4)
    with pytest.raises(LibraryError, match="query"):
        check_query(unit(5), 4)
