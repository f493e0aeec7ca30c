from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unite.errors import MediaError
from unite.media.pool import Failure, WorkerPool
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.model.preprocess import Pixels, Seen
from unite.model.vision_cache import Sight
from unite.types import Clip

from .damage import copies, damaged_media, reference, sound_media

SECONDS = 60.0
"""A worker's first file waits for the import of torch."""
WHOLE_EACH = 5


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_damaged_media_give_pixels_or_a_reason_and_disturb_no_neighbour(
    tmp_path: Path, tiny_model: Model, count: int
) -> None:
    sight = Sight(tiny_model.policy, Limits())
    sound = sound_media(tmp_path / "sound")
    damaged = [path for path, _ in damaged_media(sound, tmp_path / "damaged", count, seed=7)]
    whole = _whole(sound, tmp_path / "whole", count // WHOLE_EACH)
    expected = {path: sight(reference(path)).patches_PK for path in whole}
    order = [
        path
        for number, bad in enumerate(damaged)
        for path in ([bad] if number % WHOLE_EACH else [bad, whole[number // WHOLE_EACH]])
    ]
    with WorkerPool[str | Clip, Pixels | Seen](sight, workers=2, seconds=SECONDS) as pool:
        found = dict(zip(order, pool.map(map(reference, order), ahead=8), strict=True))
    for path, values_PK in expected.items():
        np.testing.assert_array_equal(found[path].patches_PK, values_PK)
    outcomes = {path: _judge(path, found[path]) for path in damaged}
    assert set(outcomes.values()) == {"pixels", "refused"}


def _whole(sound: list[Path], folder: Path, count: int) -> list[Path]:
    """Sound files under names of their own, of each kind in turn."""
    media = [path for path in sound if path.suffix != ".txt"]
    made = [copies(path, folder, -(-count // len(media))) for path in media]
    return [path for turn in zip(*made, strict=True) for path in turn][:count]


def _judge(path: Path, found: Pixels | Seen | Failure) -> str:
    if isinstance(found, Pixels):
        assert found.patches_PK.size
        return "pixels"
    assert isinstance(found, Failure)
    assert isinstance(found.error, MediaError)
    # A worker's death or its time limit is told without the name: neither may be here.
    assert found.error.message.startswith(str(path)), found.error
    assert len(found.error.message) > len(str(path)) + 5
    assert found.error.remedy
    return "refused"


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("a.mp4", "a.png", "no picture of a known format.*name a clip as a video"),
        ("a.txt", "a.mp4", "cannot be opened as a video"),
        ("a.txt", "a.jpg", "no picture of a known format"),
        ("a.mp4", "a.webm", None),
        ("a.png", "a.mp4", None),
        ("a.webp", "a.jpg", None),
    ],
)
def test_a_wrong_extension_is_no_matter_or_is_told(
    tmp_path: Path, tiny_model: Model, source: str, name: str, says: str | None
) -> None:
    sound_media(tmp_path)
    path = (tmp_path / source).rename(tmp_path / f"wrong_{name}")
    sight = Sight(tiny_model.policy, Limits())
    if says is None:
        assert sight(reference(path)).patches_PK.size
    else:
        with pytest.raises(MediaError, match=says):
            sight(reference(path))


def test_the_same_seed_does_the_same_damage(tmp_path: Path) -> None:
    sound = sound_media(tmp_path / "sound")
    first, again, other = (
        [path.read_bytes() for path, _ in damaged_media(sound, tmp_path / name, 20, seed)]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other
