"""Vectors kept on disk by what they are of: an interrupted run goes on where it stopped.

A vector is named by the model that made it and by the item's content: its words, and the place,
size and time of its media, so that a file which was replaced is embedded again. A shard is a
.npy file and a .json of its names; the names are written last, so a shard is there whole or not
at all.

Shapes: N vectors, D dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unite.data.records import item_row
from unite.types import Item, Vector
from unite.whole import whole, write_text

SHARD = 256
"""Vectors a shard: what an interruption may cost."""


def item_key(item: Item) -> str:
    """A name for an item's content, whatever its id."""
    row = item_row(item)
    row.pop("id", None)
    media = [*item.images, *(clip.path for clip in item.videos)]
    states = [_state(Path(medium)) for medium in media if isinstance(medium, str)]
    return hashlib.sha256(json.dumps([row, states], default=repr).encode()).hexdigest()[:32]


def _state(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


class VectorCache:
    """The vectors of one model.

    Args:
        folder: Where caches of all models lie; None keeps vectors in memory only.
        model_id: The model.
    """

    def __init__(self, folder: Path | None, model_id: str) -> None:
        self.folder = None if folder is None else folder / model_id
        self._fresh: dict[str, Vector] = {}
        self._places: dict[str, tuple[Any, int]] = {}
        if self.folder is not None:
            for names in sorted(self.folder.glob("*.json")):
                self._open(names)

    def __contains__(self, key: str) -> bool:
        """Whether there is a vector of this name."""
        return key in self._fresh or key in self._places

    def __getitem__(self, key: str) -> Vector:
        """The vector of a name.

        Raises:
            KeyError: There is none.
        """
        if key in self._fresh:
            return self._fresh[key]
        shard_ND, row = self._places[key]
        return np.asarray(shard_ND[row], np.float32)

    def add(self, key: str, vector: Vector) -> None:
        """Keep a vector; it is on disk once its shard is full, or after `flush`."""
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
        keys: Sequence[str] = json.loads(names.read_text(encoding="utf-8"))
        shard_ND = np.load(names.with_suffix(".npy"), mmap_mode="r")
        self._places.update({key: (shard_ND, row) for row, key in enumerate(keys)})


def _write_array(path: Path, matrix_ND: Vector) -> None:
    with whole(path) as draft, draft.open("wb") as file:
        np.save(file, matrix_ND)
