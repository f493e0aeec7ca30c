"""The server as an ASGI application, made from a library, its model and settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from unite import __version__
from unite.library.library import Library
from unite.serve import faults
from unite.serve.guard import Guard
from unite.serve.metrics import Measured
from unite.serve.routes import embeddings, health, items, search
from unite.serve.service import Served, Service
from unite.serve.settings import Settings

STATIC = Path(__file__).parent / "static"


def create_app(
    library: Library | None, encoder: Served, settings: Settings | None = None
) -> FastAPI:
    """Make a server; it holds threads from its start to its end, and does not close the encoder.

    Args:
        library: What is searched; None: embeddings only.
        encoder: The library's model.
        settings: The limits.

    Raises:
        LibraryError: The model is not the library's.
    """
    settings = settings or Settings()
    service = Service(library, encoder, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            warming = asyncio.create_task(service.warm_up())
            yield
            await warming

    # The usual pages of documentation fetch their scripts from elsewhere.
    app = FastAPI(
        title="UNITE", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.service = service
    faults.install(app)
    for part in (embeddings, search, items, health):
        app.include_router(part.router)
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    # The last added stands first.
    token = None if settings.token is None else settings.token.get_secret_value()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    app.add_middleware(Guard, token=token)
    app.add_middleware(Measured, metrics=service.metrics)
    return app
