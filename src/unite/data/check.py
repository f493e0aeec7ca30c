"""Every row and every medium of data files, read before anyone spends hours of a GPU on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from unite.data.faults import Fault, Report, Trouble
from unite.data.mixture import kind_label, kind_of
from unite.data.placed import ITEMS, Medium, Placed, form_of, read_all
from unite.data.records import BadRow
from unite.data.repeats import Repeats, item_hash
from unite.data.sources import Source, source_files
from unite.errors import DataError, PromptError
from unite.media.looking import look
from unite.media.pool import Failure, WorkerPool
from unite.prompts import render
from unite.types import Item, Pair

__all__ = ["Fault", "Report", "Trouble", "check_data"]

Progress = Callable[[str, int, int | None], None]
_STEP = 1000  # rows between two reports of progress


def check_data(
    sources: Mapping[str, Source],
    extracted: Path,
    *,
    items: bool = False,
    workers: int = 1,
    seconds: float | None = 120.0,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Read every row, and decode every medium once.

    Args:
        sources: What to read; a JSON file whose first row has no query is an item file.
        extracted: Where media that lie in shards and tables are written.
        items: All are item files.
        workers: Processes that decode.
        seconds: A medium that takes longer counts as unreadable.
        progress: Called with what is done, how much of it, and the whole (None while unknown).

    Raises:
        DataError: A source is not there, or is of no known kind, or lacks an option.
    """
    forms = {name: ITEMS if items else form_of(source) for name, source in sources.items()}
    for name, source in sources.items():
        if forms[name] != ITEMS:
            source_files(source)
    with WorkerPool(look, workers=workers, seconds=seconds) as pool:
        return _Check(sources, forms, extracted, progress).run(pool)


class _Check:
    def __init__(
        self,
        sources: Mapping[str, Source],
        forms: dict[str, str],
        extracted: Path,
        progress: Progress,
    ) -> None:
        self.sources = sources
        self.extracted = extracted
        self.progress = progress
        self.report = Report(forms)
        self.repeats = Repeats()
        self.broken = bytearray()  # for each row, whether it is
        self.seen: set[int] = set()  # hashes of media: millions of paths would fill the memory
        self.odd: dict[int, tuple[Trouble, str]] = {}  # media that are not as they should be

    def run(self, pool: WorkerPool[Medium, str | None]) -> Report:
        """Rows and media together, then what can be told only when all are known."""
        waiting: deque[Medium] = deque()
        results = pool.map(self._new_media(waiting), ahead=4 * pool.workers)
        done = 0
        for done, outcome in enumerate(results, 1):
            self._judge(waiting.popleft(), outcome)
            self.progress("decoding media", done, None)
        repeated = dict(self.repeats.duplicates())
        if repeated or self.odd:
            self._name(repeated)
        self.report.duplicates = len(repeated)
        self.report.asked_again = self.repeats.repeated_queries()
        self.report.broken = sum(self.broken)
        self.progress("decoding media", done, done)
        return self.report

    def _rows(self) -> Iterator[Placed]:
        for name, source in self.sources.items():
            yield from read_all(name, source, self.report.forms[name], self.extracted)

    def _new_media(self, waiting: deque[Medium]) -> Iterator[Medium]:
        """Read all rows on the way; give each medium when it is first named."""
        for row in self._rows():
            if isinstance(row.value, DataError):
                self._tell(row, Trouble.FILE, str(row.value))
                continue
            self._take(row)
            for medium in row.media:
                if hash(medium) not in self.seen:
                    self.seen.add(hash(medium))
                    waiting.append(medium)
                    yield medium
        self.progress("reading rows", self.report.rows, self.report.rows)

    def _take(self, row: Placed) -> None:
        """Count a row and tell what is wrong with it by itself."""
        self.report.rows += 1
        if self.report.rows % _STEP == 0:
            self.progress("reading rows", self.report.rows, None)
        reason = _reason(row)
        self.broken.append(reason is not None)
        if reason is not None:
            self._tell(row, Trouble.ROW, reason)
        if isinstance(row.value, Item):
            self.report.kinds[row.value.modality.label] += 1
            self.repeats.add(item_hash(row.value), 0)
        elif isinstance(row.value, Pair):
            kind = kind_of(row.value.query.modality, row.value.target_modality)
            self.report.kinds[kind_label(kind)] += 1
            self.repeats.add(item_hash(row.value.query), item_hash(row.value.candidate))
            wanted, given = row.value.target_modality, row.value.candidate.modality
            if wanted not in given:
                reason = f"It asks for {wanted.label}, but its candidate is {given.label}."
                self._tell(row, Trouble.TARGET, reason)
            if _content(row.value.query) == _content(row.value.candidate):
                self.report.same += 1
                self._tell(row, Trouble.SAME, "The query and its candidate are the same.")
        else:
            self.repeats.skip()

    def _judge(self, medium: Medium, outcome: str | Failure | None) -> None:
        kind = "image" if isinstance(medium, str) else "video"
        self.report.media[kind] += 1
        if isinstance(outcome, Failure):
            self.report.unreadable[kind] += 1
            self.odd[hash(medium)] = (Trouble.MEDIUM, str(outcome.error))
        elif outcome is not None:
            self.report.notes += 1
            self.odd[hash(medium)] = (Trouble.NOTE, outcome)

    def _name(self, repeated: dict[int, int]) -> None:
        """Read the rows again, to tell which name such media and which are others again."""
        firsts = dict.fromkeys(repeated.values(), "")
        media: dict[int, Fault] = {}
        again: list[Fault] = []
        rows = (row for row in self._rows() if not isinstance(row.value, DataError))
        for number, row in enumerate(rows):
            for medium in {*row.media}:
                if hash(medium) in self.odd:
                    self._blame(medium, row, number, media)
            if number in firsts:
                firsts[number] = row.place
            if number in repeated:
                reason = f"It is {firsts[repeated[number]]} again."
                again.append(Fault(Trouble.DUPLICATE, row.source, row.number, row.place, reason))
        self.report.faults += [*media.values(), *again]

    def _blame(self, medium: Medium, row: Placed, number: int, media: dict[int, Fault]) -> None:
        """One fault for a medium, however many rows it spoils."""
        kind, reason = self.odd[hash(medium)]
        self.broken[number] |= kind is Trouble.MEDIUM
        if hash(medium) in media:
            media[hash(medium)].rows += 1
            return
        path = medium if isinstance(medium, str) else medium.path
        fault = Fault(kind, row.source, row.number, row.place, reason, path)
        media[hash(medium)] = fault

    def _tell(self, row: Placed, kind: Trouble, reason: str) -> None:
        self.report.faults.append(Fault(kind, row.source, row.number, row.place, reason))


def _reason(row: Placed) -> str | None:
    """Why a row by itself cannot be used."""
    if isinstance(row.value, BadRow):
        return row.value.error
    try:
        for item in row.sides:
            render(item)
    except PromptError as error:
        return str(error)
    return None


def _content(item: Item) -> tuple[object, ...]:
    return item.text, item.images, item.videos
