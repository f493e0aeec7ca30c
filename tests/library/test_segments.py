from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.errors import LibraryError
from unite.library.segments import Segmenting, segments

SCENES = Segmenting(how="scenes", shortest=2, longest=20)


def test_shots_become_segments() -> None:
    assert segments([4.0, 9.5], 15.0, SCENES) == [(0.0, 4.0), (4.0, 9.5), (9.5, 15.0)]


def test_a_short_shot_joins_its_neighbour() -> None:
    assert segments([4.0, 5.0], 10.0, SCENES) == [(0.0, 4.0), (4.0, 10.0)]
    assert segments([0.5, 9.0], 10.0, SCENES) == []


def test_a_long_shot_is_cut_into_equal_windows() -> None:
    assert segments([10.0], 55.0, SCENES) == [(0, 10), (10, 25), (25, 40), (40, 55)]
    assert segments([], 40.0, SCENES) == [(0, 20), (20, 40)]


def test_one_segment_is_none() -> None:
    assert segments([], 20.0, SCENES) == []
    assert segments([1.0, 2.0], 3.9, SCENES) == []
    assert segments([5.0], 100.0, Segmenting(how="whole")) == []


@pytest.mark.parametrize(
    "wrong", [{"how": "x"}, {"shortest": 0}, {"shortest": 3, "longest": 5}, {"longest": 1e999}]
)
def test_bounds_that_do_not_fit(wrong: dict[str, object]) -> None:
    with pytest.raises(LibraryError, match="cannot be made"):
        Segmenting(**wrong)  # type: ignore[arg-type]


@given(
    cuts=st.lists(st.floats(-5, 200, allow_nan=False), max_size=60),
    seconds=st.floats(0.01, 150),
)
def test_segments_cover_the_clip_within_bounds(cuts: list[float], seconds: float) -> None:
    found = segments(cuts, seconds, SCENES)
    assert len(found) != 1
    if not found:
        return
    assert found[0][0] == 0
    assert found[-1][1] == round(seconds, 3)
    assert all(end == start for (_, end), (start, _) in pairwise(found))
    assert all(2 - 0.002 <= end - start <= 20 + 0.002 for start, end in found)
