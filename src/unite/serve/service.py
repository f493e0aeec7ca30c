"""The parts of a running server, started and ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Protocol

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from unite.library.library import Library
from unite.serve.batching import Batcher
from unite.serve.faults import CLIENT_LEFT, RequestError
from unite.serve.intake import Intake
from unite.serve.metrics import Metrics
from unite.serve.settings import Settings
from unite.serve.shelf import Shelf
from unite.serve.thumbnails import Thumbnails
from unite.serve.uploads import Uploads, uploads
from unite.types import Embedding, Encoder, Item

log = logging.getLogger(__name__)

# A grey square: decoders start, and the network runs once, before anybody waits for it.
_SQUARE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAFklEQVR42mNs"
    "YMANmBhGJUclRyWhAADxiwC4gQrlWAAAAABJRU5ErkJggg=="
)


class Served(Encoder, Protocol):
    """An encoder that has a name; it must bear two callers at once."""

    @property
    def name(self) -> str:
        """What users call the model."""
        ...


class Service:
    """Everything that requests need.

    Args:
        library: What is searched; None: embeddings only.
        encoder: The library's model.
        settings: The limits.
    """

    def __init__(self, library: Library | None, encoder: Served, settings: Settings) -> None:
        if library is not None:
            library.check(encoder.model_id, encoder.dim)
        self.encoder = encoder
        self.settings = settings
        self.intake = Intake(settings)
        self.metrics = Metrics()
        self.thumbnails = Thumbnails(settings.thumbnail_workers)
        self.ready = False
        self._library = library
        self._shelf: Shelf | None = None
        self._batcher: Batcher | None = None
        self._folder: Path | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start; at the end finish what waits."""
        with TemporaryDirectory(prefix="unite-serve-", ignore_cleanup_errors=True) as folder:
            self._folder = Path(folder)
            self._shelf = None if self._library is None else Shelf(self._library)
            self._batcher = Batcher(
                self.encoder,
                wait=self.settings.wait_seconds,
                batch=self.settings.batch,
                queue=self.settings.queue,
                told=self.metrics.batch,
            )
            self.metrics.waiting.set_function(lambda: self.batcher.waiting)
            self.metrics.held.set_function(lambda: self.intake.held)
            try:
                yield
            finally:
                self.ready = False
                await run_in_threadpool(self._batcher.close)
                self.thumbnails.close()
                if self._shelf is not None:
                    self._shelf.close()

    async def embedded(self, request: Request, items: Sequence[Item]) -> list[Embedding]:
        """Embed items for as long as the client waits for them; its body has been read.

        Raises:
            RequestError: The queue is full, the server is ending, or the client has left.
        """
        work = asyncio.create_task(self.batcher.embed(items))
        leaving = asyncio.create_task(_left(request))
        try:
            await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise RequestError(CLIENT_LEFT, "The client has left.")
        finally:
            work.cancel()
            leaving.cancel()

    async def warm_up(self) -> None:
        """Have the model and the decoders work once; then the server is ready."""
        if self._shelf is not None:
            self.thumbnails.warm_up(_SQUARE)
        for item in (Item(text="a"), Item(images=(_SQUARE,))):
            (result,) = await self.batcher.embed([item])
            if result.vector is None:
                log.error("The model does not embed: %s", result.error)
                return
        self.ready = True

    @property
    def batcher(self) -> Batcher:
        """Where items are embedded."""
        assert self._batcher is not None, "the server has not started"
        return self._batcher

    @property
    def shelf(self) -> Shelf:
        """The library.

        Raises:
            RequestError: None is served.
        """
        if self._shelf is None:
            raise RequestError(
                404, "No library is served.", "Start: unite serve -l LIBRARY", code="no_library"
            )
        return self._shelf

    @asynccontextmanager
    async def uploads(self, body_files: list[tuple[str, UploadFile]]) -> AsyncIterator[Uploads]:
        """A place for the media of one request."""
        assert self._folder is not None, "the server has not started"
        async with uploads(self._folder, body_files, self.settings.max_items) as place:
            yield place


async def _left(request: Request) -> None:
    """Wait until the client closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(_of)]
"""A route's parameter of this type is the server's service."""
