"""The files of a store of pairs.

``pairs-D.jsonl`` (a pair a line, paths absolute, ids spelt out), ``offsets-D.npy`` and
``kinds-D.npy``, where D is made of their content, and ``store.json``, which names them and is
renamed into place last: until then the directory holds the old store or none, never half of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from unite.errors import DataError
from unite.whole import whole

INDEX = "store.json"
MEDIA = "media"
"""The folder for media that were extracted from shards and tables."""
PARTS = {"pairs": "jsonl", "offsets": "npy", "kinds": "npy"}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is no pair: its source, its number and place there, and the reason."""

    source: str
    number: int
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Index:
    """What ``store.json`` says.

    Attributes:
        sizes: Rows of each source.
        bad: Rows that were left out.
        digest: Hash of everything in the store.
        fingerprint: Hash of the sources as they were.
    """

    sizes: dict[str, int]
    bad: list[LeftOut]
    digest: str
    fingerprint: str

    def path(self, directory: Path, part: str) -> Path:
        """Where one of the `PARTS` lies."""
        return directory / f"{part}-{self.digest[:16]}.{PARTS[part]}"


def read_index(directory: Path) -> Index | None:
    """Read the index; None if there is no store, or not all of its files.

    Raises:
        DataError: It is damaged.
    """
    try:
        row = json.loads((directory / INDEX).read_text(encoding="utf-8"))
        bad = [LeftOut(**left) for left in row.pop("bad")]
        index = Index(**row, bad=bad)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(directory, error) from error
    return index if all(index.path(directory, part).is_file() for part in PARTS) else None


def write_index(directory: Path, index: Index) -> None:
    """Put a store into place; its other files are there."""
    write_whole(directory / INDEX, [json.dumps(asdict(index)).encode()])


def write_whole(path: Path, pieces: Iterable[bytes]) -> Path:
    """Write a file whole or not at all, piece by piece, and give its path."""
    with whole(path) as draft, draft.open("wb") as file:
        file.writelines(pieces)
    return path


def tidy(directory: Path, index: Index) -> None:
    """Remove what killed builders left, and the files of the store before."""
    kept = {index.path(directory, part) for part in PARTS}
    for pattern in ("*.partial", *(f"{part}-*.{suffix}" for part, suffix in PARTS.items())):
        for path in set(directory.glob(pattern)) - kept:
            path.unlink(missing_ok=True)


def damaged(directory: Path, error: Exception) -> DataError:
    """What is raised where the files are not as they were written."""
    return DataError(
        f"The store of pairs in {directory} is damaged: {error}.", "Remove it; it is built anew."
    )
