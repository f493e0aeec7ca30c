"""What a store keeps beside its table: where, and what is known of its approximate index."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from unite.whole import write_text

FACTS = "index.json"
LOCK = "index.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """What the last attempt to build an approximate index came to.

    Attributes:
        identity: The table's own name; facts of another table do not count.
        rows: Rows it was built from; 0 where it failed.
        probes: Partitions that a search must look into.
        recall: Share of the true ten nearest found, measured on stored vectors.
        error: Why it failed, else empty.
    """

    identity: str
    rows: int = 0
    probes: int = 0
    recall: float | None = None
    error: str = ""


def state_folder(uri: str) -> Path:
    """The folder for a table's matrix and locks: in a local library, else in the user's cache.

    Args:
        uri: Local folder or address in object storage.
    """
    if "://" not in uri:
        return Path(uri) / "state"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unite" / hashlib.sha256(uri.encode()).hexdigest()[:24]


def read_facts(folder: Path, identity: str) -> IndexFacts | None:
    """What is known of a table's index; None where nothing is.

    Args:
        folder: The table's state folder.
        identity: The table's own name.
    """
    try:
        facts = IndexFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return facts if facts.identity == identity else None


def write_facts(folder: Path, facts: IndexFacts) -> None:
    """Replace what is known of a table's index.

    Args:
        folder: The table's state folder.
        facts: What to keep.
    """
    write_text(folder / FACTS, json.dumps(asdict(facts)))
