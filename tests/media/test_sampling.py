from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.media.sampling import FramePolicy, frame_count, sample_indices

from .conftest import golden_cases

CLIPS = golden_cases("pixel_values_videos")


@pytest.mark.parametrize("case", CLIPS, ids=[case["id"] for case in CLIPS])
def test_the_golden_frames_are_selected(case: dict) -> None:  # type: ignore[type-arg]
    settings = {k: v for k, v in case["settings"]["video"].items() if k != "max_pixels"}
    (decode,) = case["video_decode"]
    count = frame_count(decode["total_frames"], decode["avg_fps"], FramePolicy(**settings))
    assert list(sample_indices(decode["total_frames"], count)) == decode["indices"]


@pytest.mark.parametrize(
    ("total", "rate", "policy", "count"),
    [
        (270, 30, FramePolicy(), 8),  # 9 s: 4.5 pairs round half to even, down
        (330, 30, FramePolicy(), 12),  # 11 s: 5.5 pairs round half to even, up
        (48, 24, FramePolicy(), 4),  # the lower limit
        (9000, 30, FramePolicy(), 12),  # the upper limit
        (9000, 30, FramePolicy(min_frames=3, max_frames=7), 6),  # limits to even: 4 and 6
        (100, 30, FramePolicy(nframes=5), 4),  # 2.5 pairs
        (100, 30, FramePolicy(nframes=7), 8),  # 3.5 pairs
        (100, 30, FramePolicy(nframes=1), 2),
        (7, 30, FramePolicy(nframes=48), 6),  # no more than there are, in pairs
        (3, 30, FramePolicy(), 2),
        (2, 30, FramePolicy(), 2),
        (1, 30, FramePolicy(), 2),  # one frame is seen twice
    ],
)
def test_counts(total: int, rate: float, policy: FramePolicy, count: int) -> None:
    assert frame_count(total, rate, policy) == count


@given(
    total=st.integers(1, 10**6),
    rate=st.floats(0.1, 240),
    fps=st.floats(0.01, 60),
    limits=st.tuples(st.integers(2, 64), st.integers(2, 64)).map(sorted),
)
def test_counts_are_even_and_within_limits(
    total: int, rate: float, fps: float, limits: list[int]
) -> None:
    least, most = limits
    count = frame_count(total, rate, FramePolicy(fps=fps, min_frames=least, max_frames=most))
    assert count % 2 == 0
    assert 2 <= count <= max(2, min(most, total))


def test_frames_are_the_ones_that_torch_gives() -> None:
    import torch

    for total in [*range(1, 300), *range(300, 200_000, 9973)]:
        for count in (2, 4, 6, 8, 12, 16, 32, 48, 64):
            expected = torch.linspace(0, total - 1, count).round().long().tolist()
            assert list(sample_indices(total, count)) == expected, (total, count)


def test_numpys_linspace_takes_other_frames_of_long_clips() -> None:
    # The reason for a formula of our own: 80 minutes at 30 frames a second.
    by_numpy = np.linspace(0, 144_664, 64).round().astype(int).tolist()
    assert list(sample_indices(144_665, 64)) != by_numpy


@given(total=st.integers(1, 10**6), count=st.integers(2, 768))
def test_frames_ascend_from_first_to_last(total: int, count: int) -> None:
    indices = sample_indices(total, count)
    assert len(indices) == count
    assert indices[0] == 0
    assert indices[-1] == total - 1
    assert list(indices) == sorted(indices)
    if count <= total:
        assert len(set(indices)) == count


def test_a_policy_survives_a_dict() -> None:
    policy = FramePolicy(fps=2.0, nframes=16)
    assert FramePolicy(**asdict(policy)) == policy


@pytest.mark.parametrize(
    "wrong",
    [
        {"fps": 0},
        {"fps": float("nan")},
        {"nframes": 0},
        {"min_frames": 0},
        {"max_frames": 1, "min_frames": 1},
        {"min_frames": 8, "max_frames": 4},
    ],
)
def test_a_policy_that_selects_nothing_is_refused(wrong: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=r"frames|fps"):
        FramePolicy(**wrong)
