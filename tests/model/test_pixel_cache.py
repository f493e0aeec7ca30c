from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unite.errors import DataError, MediaError
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.model.pixel_cache import PixelCache
from unite.model.preprocess import Preprocessor
from unite.types import Clip


@pytest.fixture(scope="module")
def preprocessor(tiny_model: Model) -> Preprocessor:
    return Preprocessor(tiny_model.tokenizer, tiny_model.policy)


@pytest.fixture
def folder(media: Path, tmp_path: Path) -> Path:
    """A copy of the media, to be altered."""
    return Path(shutil.copytree(media, tmp_path / "media"))


@pytest.fixture(scope="module")
def full(
    media: Path, preprocessor: Preprocessor, tmp_path_factory: pytest.TempPathFactory
) -> PixelCache:
    cache = PixelCache(tmp_path_factory.mktemp("cache"), preprocessor)
    cache.fill(references(media), workers=1)
    return cache


def references(folder: Path) -> list[str | Clip]:
    clip = str(folder / "clip.mp4")
    return [*(str(folder / f"p{n}.png") for n in range(3)), Clip(clip), Clip(clip, 0.5, 1.5)]


def same(cache: PixelCache, preprocessor: Preprocessor, given: list[str | Clip]) -> None:
    for reference in given:
        cached, direct = cache.see(reference), preprocessor.see(reference)
        assert cached.grid == direct.grid
        assert np.array_equal(cached.patches_PK, direct.patches_PK)


def decoded(cache: PixelCache, given: list[str | Clip]) -> int:
    """Number of media that a fill had to decode."""
    done: list[int] = []
    cache.fill(given, workers=1, progress=lambda count, total: done.append(total))
    return len(done)


def test_the_cache_gives_what_decoding_gives(
    full: PixelCache, preprocessor: Preprocessor, media: Path
) -> None:
    same(full, preprocessor, references(media))


def test_a_second_fill_decodes_nothing(full: PixelCache, media: Path) -> None:
    assert decoded(full, references(media)) == 0
    again = PixelCache(next(iter(full._data.parents)), full.preprocessor)
    assert decoded(again, references(media) * 2) == 0


def test_a_new_process_finds_the_file(
    full: PixelCache, preprocessor: Preprocessor, media: Path
) -> None:
    same(PixelCache(full._data.parent, preprocessor), preprocessor, references(media))


def test_what_is_added_stands_beside_what_was_there(
    folder: Path, preprocessor: Preprocessor, tmp_path: Path
) -> None:
    cache = PixelCache(tmp_path / "cache", preprocessor)
    given = references(folder)
    assert decoded(cache, [given[0], given[0], given[3]]) == 2
    assert decoded(cache, given) == 3
    same(cache, preprocessor, given)


@pytest.mark.parametrize("address", [False, True])
def test_a_changed_file_is_decoded_anew(
    folder: Path, preprocessor: Preprocessor, tmp_path: Path, address: bool
) -> None:
    path = folder / "p0.png"
    given = path.as_uri() if address else str(path)
    cache = PixelCache(tmp_path / "cache", preprocessor)
    cache.fill([given], workers=1)
    before = cache.see(given).patches_PK.copy()
    Image.new("RGB", (60, 40), "red").save(path)
    os.utime(path, ns=(1, 1))
    same(cache, preprocessor, [given])  # before the cache knows
    assert decoded(cache, [given]) == 1
    same(cache, preprocessor, [given])
    assert not np.array_equal(cache.see(given).patches_PK, before)


def test_broken_media_are_named_and_leave_the_cache_as_it_was(
    folder: Path, preprocessor: Preprocessor, tmp_path: Path
) -> None:
    good = references(folder)[:2]
    cache = PixelCache(tmp_path / "cache", preprocessor)
    cache.fill(good, workers=1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "cache").iterdir()}
    bad: list[str | Clip] = [str(folder / "broken.png"), Clip(str(folder / "none.mp4"))]
    with pytest.raises(DataError, match=r"(?s)2 of 3 media .*broken\.png.*none\.mp4"):
        cache.fill([*good, *bad, str(folder / "p2.png")], workers=1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "cache").iterdir()} == files
    same(cache, preprocessor, good)
    assert decoded(cache, [str(folder / "p2.png")]) == 1


def test_what_is_not_in_the_cache_is_decoded_at_once(
    full: PixelCache, preprocessor: Preprocessor, folder: Path
) -> None:
    same(full, preprocessor, [str(folder / "p1.png")])
    picture = Image.new("RGB", (50, 50), "blue")
    assert np.array_equal(full.see(picture).patches_PK, preprocessor.see(picture).patches_PK)
    with pytest.raises(MediaError, match="broken"):
        full.see(str(folder / "broken.png"))
    with pytest.raises(MediaError):
        full.see("a\x00b.png")


def test_a_file_may_be_both_a_picture_and_a_clip(
    preprocessor: Preprocessor, tmp_path: Path
) -> None:
    frames = [Image.new("RGB", (60, 60), color) for color in ("red", "green", "blue", "white")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    given: list[str | Clip] = [str(path), Clip(str(path))]
    cache = PixelCache(tmp_path / "cache", preprocessor)
    cache.fill(given, workers=1)
    same(cache, preprocessor, given)


def test_another_policy_has_another_cache(
    full: PixelCache, preprocessor: Preprocessor, media: Path
) -> None:
    policy = replace(preprocessor.policy, frames=replace(preprocessor.policy.frames, nframes=2))
    other = PixelCache(full._data.parent, Preprocessor(preprocessor.tokenizer, policy))
    clip = Clip(str(media / "clip.mp4"))
    assert other.see(clip).grid != full.see(clip).grid
    same(other, other.preprocessor, [clip])


def test_a_fill_that_was_killed_leaves_the_cache_usable(
    folder: Path, preprocessor: Preprocessor, tmp_path: Path
) -> None:
    given = references(folder)
    cache = PixelCache(tmp_path / "cache", preprocessor)
    cache.fill(given[:2], workers=1)
    # Killed while writing, and killed between the data and the index.
    cache._data.with_suffix(".partial").write_bytes(b"half")
    longer = cache._data.read_bytes() + cache._patches_PK[:4].tobytes()
    cache._data.write_bytes(longer)
    again = PixelCache(tmp_path / "cache", preprocessor)
    same(again, preprocessor, given[:2])
    assert decoded(again, given) == 3
    same(again, preprocessor, given)


def test_runs_side_by_side_lose_nothing_of_each_other(
    folder: Path, preprocessor: Preprocessor, tmp_path: Path
) -> None:
    """Both were opened before either wrote."""
    given = references(folder)
    one, other = (PixelCache(tmp_path / "cache", preprocessor) for _ in range(2))
    assert decoded(one, given[:3]) == 3
    assert decoded(other, given) == 2
    same(PixelCache(tmp_path / "cache", preprocessor), preprocessor, given)
    same(one, preprocessor, given)


FILLING = """
import sys
from pathlib import Path
from unite.model.checkpoint import load_model
from unite.model.pixel_cache import PixelCache
from unite.model.preprocess import Preprocessor
model = load_model("mini")
cache = PixelCache(Path(sys.argv[1]), Preprocessor(model.tokenizer, model.policy))
nowhere = [f"{sys.argv[1]}/{number}.png" for number in range(64 * 400)]
cache.fill(nowhere, workers=2, progress=lambda done, total: print(done, flush=True))
"""


def test_decoders_end_with_a_run_that_is_killed_and_hold_no_pipe_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as filling:
        assert filling.stdout is not None
        assert filling.stdout.readline()
        filling.kill()
        filling.communicate(timeout=200)  # until nobody can write any more
    assert filling.returncode == -signal.SIGKILL


def test_limits_hold_for_what_is_filled(media: Path, tiny_model: Model, tmp_path: Path) -> None:
    strict = Preprocessor(tiny_model.tokenizer, tiny_model.policy, Limits(max_pixels=9))
    with pytest.raises(DataError, match="at most 9 are opened"):
        PixelCache(tmp_path, strict).fill(references(media)[:1], workers=1)
