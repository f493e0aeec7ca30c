"""Media that lie inside shards and tables, written to disk once each."""

from __future__ import annotations

import hashlib
from pathlib import Path

from unite.errors import UniteError
from unite.media.suffixes import suffix_of
from unite.whole import whole


def keep(data: bytes, folder: Path) -> str:
    """Write a medium under a name made of its content, and give its path.

    What is already there is left as it is, so a second reading costs no writing. Equal media get
    one path, and so one content id.

    Args:
        data: The bytes of the file.
        folder: Where extracted media lie, spread over 256 folders.

    Raises:
        UniteError: It cannot be written; no fault of the row, so it ends the reading.
    """
    digest = hashlib.sha256(data).hexdigest()[:32]
    path = folder.resolve() / digest[:2] / f"{digest}{suffix_of(data)}"
    try:
        if not path.exists() or path.stat().st_size != len(data):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path, lasting=False) as draft:  # one of another size is written again
                draft.write_bytes(data)
    except OSError as error:
        raise UniteError(
            f"Cannot write {path}: {error.strerror}.", "Is there space, and may one write there?"
        ) from error
    return str(path)
