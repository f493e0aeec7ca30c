"""The library as the server asks it: from one thread, with records found lately at hand."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from unite.library.library import FACTS, Library
from unite.library.search import Plan, Ranking, SearchResult, search_vector
from unite.library.terms import Asked
from unite.serve.faults import RequestError
from unite.serve.words import content_of, word_of
from unite.stores.filters import Filter
from unite.stores.protocol import Record, Row, Stats

T = TypeVar("T")
REMEMBERED = 4096
FRESH = 60.0  # seconds for which a record is believed, so that a page of pictures costs one query


class Shelf:
    """Asks a library without holding up the server.

    Stores keep matrices between queries and are not made for several threads; one is enough, as
    the product itself uses all cores.

    Args:
        library: What to ask.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._stamp = _stamp(library.path)
        self._records: OrderedDict[str, tuple[float, Record]] = OrderedDict()

    async def search(
        self, asked: Asked, *, k: int, offset: int, where: Filter,
        ranking: Ranking | Plan | None, folded: bool,
    ) -> SearchResult:  # fmt: skip
        """Hits from `offset` on."""
        result = await self._ask(
            lambda: search_vector(
                self.library,
                asked,
                k=k,
                where=where,
                ranking=ranking,
                offset=offset,
                folded=folded,
            )
        )
        for one in result.found:
            self._remember(one.record)
        return result

    async def record(self, key: str) -> Record:
        """The record that `key` names.

        Raises:
            RequestError: The library has none.
        """
        name = name_of(key)
        known = self._records.get(name)
        if known and time.monotonic() - known[0] < FRESH:
            return known[1]
        return (await self.row(key)).record

    async def row(self, key: str) -> Row:
        """The record that `key` names, with its vector.

        Raises:
            RequestError: The library has none.
        """
        name = name_of(key)
        rows = await self._ask(lambda: self.library.store.get([name]))
        if not rows:
            self._records.pop(name, None)
            raise no_item()
        self._remember(rows[0].record)
        return rows[0]

    async def stats(self) -> Stats:
        """How much the library holds."""
        return await self._ask(self.library.store.stats)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def _ask(self, question: Callable[[], T]) -> T:
        def asked() -> T:
            self._refuse_another()
            return question()

        return await asyncio.get_running_loop().run_in_executor(self._thread, asked)

    def _refuse_another(self) -> None:
        """Another table is not the one that is open; another model's vectors fit no query."""
        if (stamp := _stamp(self.library.path)) in (None, self._stamp):
            return
        facts = Library.facts_of(self.library.path)
        known = self.library.facts
        if (facts.model_id, facts.dim, facts.table) != (known.model_id, known.dim, known.table):
            raise RequestError(503, "The library was made anew.", "Start unite serve again.")
        self._stamp = stamp

    def _remember(self, record: Record) -> None:
        self._records[record.id] = (time.monotonic(), record)
        self._records.move_to_end(record.id)
        if len(self._records) > REMEMBERED:
            self._records.popitem(last=False)


def _stamp(path: Path) -> tuple[int, int] | None:
    """By which it is seen that a library was made anew; None where it is away."""
    try:
        facts = (path / FACTS).stat()
    except OSError:  # asking it will say what is wrong
        return None
    return facts.st_ino, facts.st_mtime_ns


def key_of(name: str) -> str:
    """A record's id as one word for an address: ids are paths, and paths have slashes."""
    return word_of(name.encode())


def name_of(key: str) -> str:
    """The record's id again.

    Raises:
        RequestError: The word stands for none.
    """
    try:
        return content_of(key).decode()
    except ValueError as error:
        raise no_item() from error


def no_item() -> RequestError:
    """The answer where the library lacks an item."""
    return RequestError(404, "The library has no such item.", code="item_not_found")
