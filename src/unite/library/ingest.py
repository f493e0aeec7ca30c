"""Bring a library up to date with the files beneath some paths, paying only for what changed.

A file whose size and time are known costs one stat. Otherwise it is taken apart (`parts`), and a
part whose digest the library knows keeps its vector: so files that were touched, moved or copied
cost no model time. Rows are committed in batches; what became stale is deleted last, so a run that
is killed at any point leaves a library that opens, and the next run finishes its work.

A vector is kept only if the files that it shows are still as they were when their digests were
taken, so a file that changes while it is read leaves no vector of something else behind.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unite.errors import LibraryError
from unite.library.batch import Batch
from unite.library.known import Known
from unite.library.library import Library
from unite.library.parts import CLIP, Contents, Part
from unite.library.progress import Progress, published
from unite.library.reading import Read, Reading
from unite.library.scan import Scan, Source, folder_above, is_gone, scan
from unite.library.scenes import check_can_find_cuts
from unite.media.suffixes import ending_of
from unite.stores.protocol import Record, Row, Store
from unite.types import Embedding, Encoder, Item

WINDOW = 4096
"""Files given to the model in one stream; what is read and not yet committed stays below this."""


@dataclass(slots=True)
class Outcome:
    """What a run did, counted in files.

    Attributes:
        added: New files.
        changed: Files with new contents.
        kept: Files that are as they were, touched ones included.
        moved: Files found under another name; their vectors were kept.
        removed: Files that no longer exist.
        skipped: Files of an unsupported kind.
        kinds_skipped: How many those are by their ending, the most first.
        embedded: Vectors computed; one file may have several.
        failed: What could not be read or embedded, and why, by path.
        notes: What a reader should know although nothing is lost, by path.
    """

    added: int = 0
    changed: int = 0
    kept: int = 0
    moved: int = 0
    removed: int = 0
    skipped: int = 0
    kinds_skipped: dict[str, int] = field(default_factory=dict)
    embedded: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def ingest(
    library: Library,
    paths: Sequence[Path],
    encoder: Encoder,
    *,
    workers: int = 0,
    batch: int = 256,
    seconds: float = 30.0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Index files and folders, and drop what was deleted beneath them.

    Args:
        library: The library.
        paths: Files and folders.
        encoder: The library's model.
        workers: Processes that cut clips into scenes and read PDFs; a file that hangs or kills
            one costs itself only. A script that has any needs `if __name__ == "__main__":`.
            0: threads of this process.
        batch: Rows after which a batch is committed.
        seconds: Time after which a batch is committed although it is smaller.
        on_progress: Called after each file.

    Raises:
        LibraryError: The model is not the library's, a path does not exist, or another process
            is writing.
    """
    library.check(encoder.model_id, encoder.dim)
    if library.facts.segmenting.how == "scenes":
        check_can_find_cuts()
    with library.writing(), published(library.path) as publish:

        def tell(now: Progress) -> None:
            publish(now)
            if on_progress is not None:
                on_progress(now)

        found = scan(paths, library.own_paths)
        known = Known(library.store.records())
        rows = Batch(library.store, batch, seconds)
        with Reading(known, library.facts.segmenting, workers) as reading:
            return _Run(library.store, encoder, rows, found, known, reading).to_the_end(tell)


@dataclass(slots=True)
class _Work:
    """One file on its way: what it holds, which vectors are known, which are awaited."""

    source: Source
    contents: Contents
    known: dict[str, Row]
    awaited: deque[Part]
    unread: bool = False
    stored: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


class _Run:
    """One run of `ingest`."""

    def __init__(
        self,
        store: Store,
        encoder: Encoder,
        batch: Batch,
        found: Scan,
        known: Known,
        reading: Reading,
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._batch = batch
        self._found = found
        self._known = known
        self._reading = reading
        self._stale: set[str] = set()
        self._moved_from: set[str] = set()
        self._queue: deque[_Work] = deque()
        kinds = Counter(ending_of(Path(path)) for path in found.skipped)
        self._outcome = Outcome(
            skipped=len(found.skipped),
            kinds_skipped=dict(kinds.most_common()),
            failed=dict(found.failed),
            notes=dict(found.notes),
        )

    def to_the_end(self, on_progress: Callable[[Progress], None]) -> Outcome:
        """Index, then sweep."""
        sources = self._found.sources.values()
        pending = [source for source in sources if not self._known.is_current(source)]
        self._outcome.kept = len(sources) - len(pending)
        on_progress(Progress(0, len(pending), len(self._outcome.failed)))
        try:
            for done, work in enumerate(self._finished(pending), 1):
                self._count(work)
                on_progress(Progress(done, len(pending), len(self._outcome.failed)))
        finally:
            self._batch.commit()
        self._sweep()
        return self._outcome

    def _finished(self, pending: Sequence[Source]) -> Iterator[_Work]:
        """Files whose parts are all settled, in order."""
        for first in range(0, len(pending), WINDOW):
            for result in self._encoder.embed(self._items(pending[first : first + WINDOW])):
                yield from self._ready()
                self._settle(self._queue[0], result)
            yield from self._ready()
            if self._queue:
                raise LibraryError("The model returned fewer results than it was given items.")

    def _items(self, pending: Sequence[Source]) -> Iterator[Item]:
        """Items in need of a vector; the files they come from are queued before them."""
        for chunk in self._reading.chunks(pending):
            for work in self._prepare(chunk):
                items = [part.item for part in work.awaited]
                self._queue.append(work)
                yield from items

    def _prepare(self, chunk: Sequence[Read]) -> list[_Work]:
        """Fetch the vectors that the library has for files that were taken apart."""
        parts = [part for read in chunk for part in read.contents.parts]
        rows = self._known.rows(self._store, [part.record for part in parts])
        return [_work(read, rows) for read in chunk]

    def _ready(self) -> Iterator[_Work]:
        while self._queue and not self._queue[0].awaited:
            work = self._queue.popleft()
            for part in work.contents.parts:
                if part.record.id in work.known:
                    self._keep(work, Row(part.record, work.known[part.record.id].vector))
            yield work

    def _settle(self, work: _Work, result: Embedding) -> None:
        part = work.awaited.popleft()
        record = part.record
        if not all(state.holds for state in part.shows):
            work.failed[record.id] = "it changed while it was read; index again"
            return
        if result.vector is None:
            work.failed[record.id] = result.error or "the model gave no reason"
            return
        self._outcome.embedded += 1
        if result.note:
            self._outcome.notes[record.id] = result.note
        self._keep(work, Row(record, result.vector))

    def _keep(self, work: _Work, row: Row) -> None:
        work.stored.add(row.record.id)
        self._batch.add(row)

    def _count(self, work: _Work) -> None:
        """Enter a settled file into the outcome, and note which of its old records are stale."""
        path, outcome = work.source.path, self._outcome
        if not work.stored and is_gone(path):  # since it was scanned
            del self._found.sources[path]
            return
        before = self._known.of(path)
        outcome.failed.update(work.failed)
        for name, note in work.contents.notes.items():
            if name not in work.failed:  # why it failed says more
                outcome.notes[name] = note
        if _is_rest_unknown(work.contents, before):
            before = [record for record in before if record.id in work.stored]
        elif not work.unread:
            self._stale |= {record.id for record in before} - work.stored
        if not work.contents.parts and not work.failed and path not in outcome.notes:
            outcome.notes[path] = "holds nothing to index"
        if not work.stored:
            return
        if before:
            same = _state(before) == _state(
                part.record for part in work.contents.parts if part.record.id in work.stored
            )
            outcome.kept += same
            outcome.changed += not same
        elif (origin := self._origin(work)) is not None:
            self._moved_from.add(origin)
            outcome.moved += 1
        else:
            outcome.added += 1

    def _origin(self, work: _Work) -> str | None:
        """The file that this one was before it was renamed, if it was: no part of it is lost."""
        taken = [row.record for row in work.known.values()]
        origins = {record.source for record in taken}
        if len(taken) != len(work.contents.parts) or len(origins) != 1:
            return None
        origin = origins.pop()
        if not _digests(self._known.of(origin)) <= _digests(taken):
            return None
        return origin if is_gone(origin) and origin not in self._moved_from else None

    def _sweep(self) -> None:
        """Delete what is stale: old parts of changed files, moved files, deleted files.

        A text that has become the caption of a file beside it is no file of its own any more. What
        a link no longer leads to may be there again when a drive is; what two links lead to is kept
        under the one that was walked.
        """
        unseen = {
            path
            for path in self._known.sources
            if path not in self._found.sources and self._found.covers(path)
        }
        lost = self._found.lost
        away = {path: link for path in unseen if (link := folder_above(self._walked(path), lost))}
        for link, count in Counter(away.values()).items():
            self._outcome.failed[link] = (
                f"leads nowhere; {count} files beneath it are kept as they were. Connect the "
                "drive, or remove the link to drop them"
            )
        gone = {
            path
            for path in unseen - away.keys()
            if is_gone(path) or self._walked(path) in self._found.sources
        }
        for path in self._found.captions:
            self._stale |= {record.id for record in self._known.of(path)}
        self._outcome.removed = len(gone - self._moved_from)
        for path in gone | self._moved_from:
            self._stale |= {record.id for record in self._known.of(path)}
        self._batch.sweep(self._stale)

    def _walked(self, path: str) -> str:
        """The same file under the link that was walked, where two lead to its folder."""
        link = folder_above(path, self._found.doubled)
        return path if link is None else self._found.doubled[link] + path[len(link) :]


def _is_rest_unknown(contents: Contents, before: Sequence[Record]) -> bool:
    """Whether records beyond these parts may still be true: of the same clip, which was not cut."""
    clips = {part.record.meta.get(CLIP) for part in contents.parts}
    return contents.unfinished and any(record.meta.get(CLIP) in clips for record in before)


def _work(read: Read, rows: dict[str, Row]) -> _Work:
    contents = read.contents
    names = [part.record.id for part in contents.parts]
    known = {name: rows[name] for name in names if name in rows}
    awaited = deque(part for part in contents.parts if part.record.id not in known)
    failed = dict(contents.failed)
    return _Work(read.source, contents, known, awaited, read.unread, failed=failed)


def _digests(records: Iterable[Record]) -> set[tuple[str, str]]:
    return {(record.digest, record.modality) for record in records}


def _state(records: Iterable[Record]) -> set[tuple[str, str]]:
    return {(record.id, record.digest) for record in records}
