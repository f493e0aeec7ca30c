"""Vectors kept on disk by what they are of: an interrupted run goes on where it stopped.

A vector is named by what made it (the model, its dtype, the versions of what computes) and by the
item's content: its words, and the place, size and time of its media, so that a file which was
replaced is embedded again. A shard is a .npy file and a .json of its names; the names are written
last. A shard that is not whole is as if it were not there.

Shapes: N vectors, D dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from unite.data.records import item_row
from unite.media.source import file_state
from unite.types import Item, Vector
from unite.whole import whole, write_text

SHARD = 256
"""Vectors a shard: what an interruption may cost."""


def item_key(item: Item) -> str:
    """A name for an item's content, whatever its id."""
    row = item_row(item)
    row.pop("id", None)
    media = [*item.images, *(clip.path for clip in item.videos)]
    states = [file_state(medium) for medium in media if isinstance(medium, str)]
    return hashlib.sha256(json.dumps([row, states], default=_pixels).encode()).hexdigest()[:32]


def _pixels(picture: Any) -> list[object]:
    """What a picture in memory is; its address would be another's after it."""
    return [picture.mode, picture.size, hashlib.sha256(picture.tobytes()).hexdigest()]


class VectorCache:
    """The vectors that one model made.

    Args:
        folder: Where caches of all models lie; None keeps vectors in memory only.
        maker: A name for the model and all else that shapes a vector.
    """

    def __init__(self, folder: Path | None, maker: str) -> None:
        self.folder = None if folder is None else folder / maker
        self._passing: dict[str, Vector] = {}
        self._fresh: dict[str, Vector] = {}
        self._places: dict[str, tuple[Any, int]] = {}
        if self.folder is not None:
            for names in sorted(self.folder.glob("*.json")):
                self._open(names)

    def __contains__(self, key: str) -> bool:
        """Whether there is a vector of this name."""
        return key in self._passing or key in self._fresh or key in self._places

    def __getitem__(self, key: str) -> Vector:
        """The vector of a name.

        Raises:
            KeyError: There is none.
        """
        vector = self.get(key)
        if vector is None:
            raise KeyError(key)
        return vector

    def get(self, key: str) -> Vector | None:
        """The vector of a name; None if there is none."""
        for known in (self._passing, self._fresh):
            if key in known:
                return known[key]
        if key not in self._places:
            return None
        shard_ND, row = self._places[key]
        return np.asarray(shard_ND[row], np.float32)

    def add(self, key: str, vector: Vector, *, lasting: bool = True) -> None:
        """Keep a vector; it is on disk once its shard is full, or after `flush`.

        Args:
            key: Its name.
            vector: The vector.
            lasting: Whether it goes to disk; one whose medium changed meanwhile must not.
        """
        if not lasting:
            self._passing[key] = vector
            return
        self._fresh[key] = vector
        if len(self._fresh) >= SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is not yet on disk."""
        if self.folder is None or not self._fresh:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = list(self._fresh)
        stem = self.folder / hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
        _write_array(stem.with_suffix(".npy"), np.stack([self._fresh[key] for key in keys]))
        names = stem.with_suffix(".json")
        write_text(names, json.dumps(keys))
        self._open(names)
        self._fresh.clear()

    def _open(self, names: Path) -> None:
        with suppress(OSError, ValueError, EOFError):  # not whole: what it held is embedded again
            keys: Sequence[str] = json.loads(names.read_text(encoding="utf-8"))
            shard_ND = np.load(names.with_suffix(".npy"), mmap_mode="r")
            self._places.update({key: (shard_ND, row) for row, key in enumerate(keys)})


def _write_array(path: Path, matrix_ND: Vector) -> None:
    with whole(path) as draft, draft.open("wb") as file:
        np.save(file, matrix_ND)
