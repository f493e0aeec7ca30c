"""`/v1/search`: by words, picture, clip, several together, an item, or a vector."""

from __future__ import annotations

from fastapi import APIRouter, Request

from unite.errors import ItemError
from unite.serve.bodies import body_of, failures
from unite.serve.faults import RequestError
from unite.serve.filtering import admitted
from unite.serve.forms import search_form
from unite.serve.intake import Body
from unite.serve.schemas import SearchForm, SearchOut
from unite.serve.service import Here, Service
from unite.serve.shelf import name_of
from unite.serve.vectors import decoded, encoded
from unite.serve.views import hit
from unite.types import Vector

router = APIRouter(prefix="/v1", tags=["library"])


@router.post(
    "/search",
    responses=failures(400, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=body_of(SearchForm),
)
async def search(request: Request, service: Here) -> SearchOut:
    """Find what lies nearest to a query, an item of the library (`like`), or an `embedding`.

    Page on with the answer's `embedding` and `next_offset`.
    """
    shelf = service.shelf
    async with service.intake.body(request) as body:
        form = await search_form(body)
        _check(form, service.settings.max_hits)
        where = admitted(form.only, form.where)
        vector = await _vector(form, body, service)
    page = await shelf.search(
        vector,
        form.k,
        form.offset,
        where,
        raw=form.raw,
        without=None if form.like is None else name_of(form.like),
    )
    following = form.offset + form.k
    more = page.more and following < service.settings.max_hits
    return SearchOut(
        ranking=page.ranking,
        how=page.how,
        hits=[hit(found) for found in page.found],
        next_offset=following if more else None,
        embedding=str(encoded(vector, "base64")),
    )


def _check(form: SearchForm, most: int) -> None:
    query = any(part is not None for part in (form.text, form.image, form.video))
    given = [query, form.embedding is not None, form.like is not None and form.embedding is None]
    if sum(given) != 1:
        raise RequestError(
            422,
            "A search is by text, image and video, or by 'like', or by 'embedding'.",
            "Give one of the three. With 'embedding', 'like' only leaves that item out.",
        )
    if form.offset + form.k > most:
        raise RequestError(422, f"A search goes {most} hits deep.", "Narrow it.", param="offset")


async def _vector(form: SearchForm, body: Body, service: Service) -> Vector:
    if form.embedding is not None:
        return decoded(form.embedding, service.encoder.dim)
    if form.like is not None:
        return (await service.shelf.row(form.like)).vector
    async with service.uploads(body.files) as place:
        try:
            item = await place.item(form)
        except ItemError as error:
            raise RequestError(400, place.plain(str(error))) from error
        (result,) = await service.batcher.embed([item])
        if result.vector is None:
            raise RequestError(400, place.plain(result.error or "The query cannot be embedded."))
        return result.vector
