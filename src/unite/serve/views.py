"""Records as clients see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unite.library.folding import Folded
from unite.library.search import SearchResult
from unite.media.source import name_of
from unite.serve.files import shown_as
from unite.serve.schemas import HitOut, ItemOut
from unite.serve.shelf import key_of
from unite.stores.protocol import Record


def hits(result: SearchResult) -> list[HitOut]:
    """The answers of a search."""
    folded = result.folded or [Folded(found) for found in result.found]
    return [
        HitOut(
            **_facts(one.found.record),
            score=one.found.score,
            segments=one.segments,
            copies=[name_of(path) for path in one.copies],
        )
        for one in folded
    ]


def item(record: Record) -> ItemOut:
    """One item of the library."""
    return ItemOut(**_facts(record), size=record.size, modified=record.mtime_ns / 1e9)


def _facts(record: Record) -> dict[str, Any]:
    key, kind = key_of(record.id), shown_as(record)
    at, path = f"/v1/items/{key}", name_of(record.path)
    # The digest makes another address of other contents, so that browsers may keep a thumbnail.
    thumbnail = f"{at}/thumbnail?v={record.digest[:16]}"
    return {
        "id": key,
        "path": path,
        "name": Path(path).name,
        "kind": kind,
        "modality": record.modality,
        "start": record.start,
        "end": record.end,
        "duration": record.duration,
        "width": record.width,
        "height": record.height,
        "tags": list(record.tags),
        "text": record.text,
        "thumbnail": None if kind == "text" else thumbnail,
        "media": f"{at}/media",
    }
