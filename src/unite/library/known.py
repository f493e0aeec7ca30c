"""What a library held when a run began: by file, and by content. It does not change afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from unite.library.clips import ClipFacts
from unite.library.parts import CAPTION, CLIP
from unite.library.scan import Source, is_gone
from unite.stores.protocol import Record, Row, Store

TWINS = 16
"""Records of equal contents of which it is asked whether their file has vanished."""


class Known:
    """An index of records by their source and by their digest.

    Args:
        records: All records of the library.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_source: defaultdict[str, list[Record]] = defaultdict(list)
        self._by_content: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
        self._by_id: dict[str, Record] = {}
        self._clips: dict[str, str] = {}
        for record in records:
            self._by_id[record.id] = record
            self._by_source[record.source].append(record)
            self._by_content[record.digest, record.modality].append(record)
            if CLIP in record.meta:
                self._clips[record.meta[CLIP]] = record.source

    @property
    def sources(self) -> Collection[str]:
        """Files that have records."""
        return self._by_source.keys()

    def of(self, path: str) -> Sequence[Record]:
        """Records read from a file."""
        return self._by_source.get(path, ())

    def is_current(self, source: Source) -> bool:
        """Whether a file and its caption are as they were, and every part of it is there."""
        records = self.of(source.path)
        caption = source.caption.state if source.caption else ""
        state = (source.size, source.mtime_ns, len(records), caption)
        return bool(records) and all(
            (record.size, record.mtime_ns, record.parts, record.meta.get(CAPTION, "")) == state
            for record in records
        )

    def clip(self, digest: str) -> ClipFacts | None:
        """What was found out about a clip of these contents; None if not all of it is there.

        Args:
            digest: SHA-256 of the file.
        """
        records = self.of(self._clips.get(digest, ""))
        if not records or len(records) != records[0].parts or records[0].duration is None:
            return None
        it = records[0]
        spans = [(one.start, one.end) for one in records if one.start is not None]
        found = sorted((start, end) for start, end in spans if end is not None)
        return ClipFacts(it.duration, it.width, it.height, tuple(found))

    def rows(self, store: Store, wanted: Sequence[Record]) -> dict[str, Row]:
        """Rows of the library with the same contents, by the id of the record that wants one.

        A row may have been written anew since the run began; then it no longer counts.

        Args:
            store: Where the rows are.
            wanted: Records in need of a vector.
        """
        twins = {record.id: twin for record in wanted if (twin := self._twin(record))}
        rows = {
            row.record.id: row for row in store.get(sorted({twin.id for twin in twins.values()}))
        }
        return {
            name: rows[twin.id]
            for name, twin in twins.items()
            if twin.id in rows and rows[twin.id].record.digest == twin.digest
        }

    def _twin(self, wanted: Record) -> Record | None:
        """A known record of the same contents: its own, else a vanished file's, else any."""
        own = self._by_id.get(wanted.id)
        if own and (own.digest, own.modality) == (wanted.digest, wanted.modality):
            return own
        same = self._by_content.get((wanted.digest, wanted.modality), [])
        vanished = (record for record in same[:TWINS] if is_gone(record.source))
        return next(vanished, same[0] if same else None)
