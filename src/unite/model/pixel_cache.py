"""Media decoded once: the patches of many pictures and clips in one memory-mapped file.

Training on a small set of media reads each of them hundreds of times, and decoding a clip
costs more than embedding it. The file holds 8-bit patches one after another; several
processes share it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unite.errors import DataError, MediaError
from unite.media.pool import end_with_parent
from unite.media.source import Limits, file_state
from unite.model.policy import Policy
from unite.model.preprocess import Pixels, Preprocessor
from unite.types import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

Reference = str | Clip
_CHUNK = 64
_PIECE = 1 << 24


class PixelCache:
    """The decoded media of one policy.

    Args:
        directory: Where the file lies.
        preprocessor: Decodes what is not in the cache.
    """

    def __init__(self, directory: Path, preprocessor: Preprocessor) -> None:
        self.preprocessor = preprocessor
        row = json.dumps(preprocessor.policy.to_json(), sort_keys=True)
        stem = f"pixels-{hashlib.sha256(row.encode()).hexdigest()[:12]}"
        self._data = directory / f"{stem}.u8"
        self._index = directory / f"{stem}.json"
        self._places: dict[str, tuple[int, int, int, int]] = {}
        self._patches_PK = np.empty((0, 0), np.uint8)
        if self._index.exists():
            self._open()

    def fill(
        self,
        references: Iterable[Reference],
        *,
        workers: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Decode what is missing, in spawned processes, and add it to the file.

        Runs side by side wait for each other and then find what the first has decoded.

        Args:
            references: Pictures and clips; those already there cost a stat.
            workers: Processes; as many as cores by default.
            progress: Called with the number done and the whole.

        Raises:
            DataError: Some cannot be decoded; the message names the first few.
        """
        wanted = {_key(reference): reference for reference in references}
        if wanted.keys() <= self._places.keys():
            return
        from filelock import FileLock

        self._data.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._data.with_suffix(".lock")):
            if self._index.exists():
                self._open()
            missing = [ref for key, ref in wanted.items() if key not in self._places]
            if missing:
                self._add(missing, workers, progress)

    def _add(
        self,
        missing: list[Reference],
        workers: int | None,
        progress: Callable[[int, int], None],
    ) -> None:
        places, faults = dict(self._places), []
        partial = self._data.with_suffix(".partial")
        with partial.open("wb") as file:
            if self._places:
                with self._data.open("rb") as before:
                    shutil.copyfileobj(before, file, _PIECE)
            rows = len(self._patches_PK)
            for done, (reference, pixels) in enumerate(
                self._decode(missing, workers or os.cpu_count() or 1), 1
            ):
                if isinstance(pixels, str):
                    faults.append(pixels)
                else:
                    file.write(pixels.patches_PK.tobytes())
                    places[_key(reference)] = (rows, *pixels.grid)
                    rows += len(pixels.patches_PK)
                progress(done, len(missing))
        if faults:
            partial.unlink()
            shown = "\n  ".join(faults[:5])
            raise DataError(
                f"{len(faults)} of {len(missing)} media cannot be decoded:\n  {shown}\n",
                "Mend or remove them and the pairs that name them.",
            )
        partial.replace(self._data)
        index = self._index.with_suffix(".partial")
        index.write_text(json.dumps(places), encoding="utf-8")
        index.replace(self._index)
        self._open()

    def see(self, reference: str | Image | Clip) -> Pixels:
        """The patches of a medium, from the file or else decoded now.

        Raises:
            MediaError: It is not in the cache and cannot be decoded.
        """
        place = self._places.get(_key(reference)) if isinstance(reference, str | Clip) else None
        if place is None:
            return self.preprocessor.see(reference)
        row, *grid = place
        slices, rows, columns = grid
        patches_PK = self._patches_PK[row : row + slices * rows * columns]
        return Pixels(patches_PK, (slices, rows, columns))

    def grid_of(self, reference: Reference) -> tuple[int, int, int] | None:
        """The grid of a medium that is in the cache."""
        place = self._places.get(_key(reference))
        return None if place is None else (place[1], place[2], place[3])

    def _open(self) -> None:
        self._places = {
            key: tuple(place) for key, place in json.loads(self._index.read_text()).items()
        }
        pixels = self.preprocessor.policy.pixels
        values = 3 * pixels.temporal_patch_size * pixels.patch_size**2
        self._patches_PK = np.memmap(self._data, np.uint8, "r").reshape(-1, values)

    def _decode(
        self, missing: list[Reference], workers: int
    ) -> Iterator[tuple[Reference, Pixels | str]]:
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        sight = partial(_see_all, self.preprocessor.policy, self.preprocessor.limits)
        context = get_context("spawn")  # a fork beside torch may hang
        with ProcessPoolExecutor(min(workers, len(chunks)), context, end_with_parent) as pool:
            for chunk, results in zip(chunks, pool.map(sight, chunks), strict=True):
                yield from zip(chunk, results, strict=True)


def _see_all(policy: Policy, limits: Limits, references: list[Reference]) -> list[Pixels | str]:
    """Runs in a worker: the pixels of each medium, or what is wrong with it."""
    from unite.model.preprocess import see

    results: list[Pixels | str] = []
    for reference in references:
        try:
            results.append(see(reference, policy, limits))
        except MediaError as error:
            results.append(str(error))
    return results


def _key(reference: Reference) -> str:
    """A medium's name in the cache: its kind, place, size and time of change."""
    path = reference.path if isinstance(reference, Clip) else reference
    state = file_state(path)
    return repr(reference) if state is None else f"{reference!r}|{state[0]}|{state[1]}"
