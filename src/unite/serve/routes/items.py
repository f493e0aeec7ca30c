"""`/v1/items/{id}`: what the library knows of an item, its thumbnail, its file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from unite.library.progress import progress_of
from unite.serve.bodies import failures
from unite.serve.faults import RequestError
from unite.serve.files import media_response, shown_as
from unite.serve.schemas import IndexingOut, ItemOut, LibraryOut
from unite.serve.service import Here
from unite.serve.thumbnails import SIDE
from unite.serve.views import item as view

router = APIRouter(prefix="/v1", tags=["library"])
_YEAR = 31_536_000
Side = Annotated[int, Query(ge=16, le=2048)]


@router.get("/library", responses=failures(404, 503))
async def library(service: Here) -> LibraryOut:
    """How much the library holds, and how far a run of `unite index` is."""
    shelf = service.shelf
    stats = await shelf.stats()
    now = progress_of(shelf.library.path)
    facts = shelf.library.facts
    return LibraryOut(
        name=shelf.library.path.resolve().name,
        model=facts.model,
        model_id=facts.model_id,
        dim=facts.dim,
        count=stats.count,
        modalities=dict(stats.modalities),
        indexing=None if now is None else IndexingOut(**asdict(now)),
    )


@router.get("/items/{key}", responses=failures(404, 503))
async def item(key: str, service: Here) -> ItemOut:
    """What the library knows of an item."""
    return view((await service.shelf.row(key)).record)


@router.get(
    "/items/{key}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **failures(404, 503)},
)
async def thumbnail(key: str, request: Request, service: Here, side: Side = SIDE) -> Response:
    """A picture of an item, as WebP: small, or large where a browser cannot show the file.

    `side` is the most that its longer side may have, in pixels.
    """
    record = await service.shelf.record(key)
    if shown_as(record) == "text":
        raise RequestError(404, "A text has no thumbnail.", code="no_thumbnail")
    tag = f'"{record.digest[:32]}-{side}"'
    fixed = request.query_params.get("v") == record.digest[:16]
    age = f"private, max-age={_YEAR}, immutable" if fixed else "private, no-cache"
    headers = {"ETag": tag, "Cache-Control": age}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = await service.thumbnails.webp(record, side)
    return Response(content, media_type="image/webp", headers=headers)


@router.get(
    "/items/{key}/media",
    response_class=FileResponse,
    responses={206: {"description": "The range asked for."}, **failures(404, 503)},
)
async def media(key: str, service: Here) -> FileResponse:
    """An item's file, whole or by byte ranges."""
    return media_response(await service.shelf.record(key))
