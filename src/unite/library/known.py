"""What a library held when a run began: by file, and by content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

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
        for record in records:
            self._by_id[record.id] = record
            self._by_source[record.source].append(record)
            self._by_content[record.digest, record.modality].append(record)

    @property
    def sources(self) -> Collection[str]:
        """Files that have records."""
        return self._by_source.keys()

    def of(self, path: str) -> Sequence[Record]:
        """Records read from a file."""
        return self._by_source.get(path, ())

    def is_current(self, source: Source) -> bool:
        """Whether a file is as it was: same size, same time, and every part of it is there."""
        records = self.of(source.path)
        state = (source.size, source.mtime_ns, len(records))
        return bool(records) and all(
            (record.size, record.mtime_ns, record.parts) == state for record in records
        )

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
