"""`/v1/search`: by words, picture, clip, several together, an item, a vector, or a cursor."""

from __future__ import annotations

from fastapi import APIRouter, Request

from unite.errors import ItemError
from unite.library.search import HOW, Plan, Ranking
from unite.library.terms import Asked
from unite.serve.bodies import body_of, failures
from unite.serve.cursor import Cursor
from unite.serve.faults import RequestError
from unite.serve.filtering import admitted
from unite.serve.forms import search_form
from unite.serve.intake import Body
from unite.serve.schemas import SearchForm, SearchOut
from unite.serve.service import Here, Service
from unite.serve.shelf import Shelf
from unite.serve.vectors import decoded, encoded
from unite.serve.views import hits
from unite.stores.protocol import Record

router = APIRouter(prefix="/v1", tags=["library"])


@router.post(
    "/search",
    responses=failures(400, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=body_of(SearchForm),
)
async def search(request: Request, service: Here) -> SearchOut:
    """Find what lies nearest to a query, an item of the library (`like`), or an `embedding`.

    The answer's `cursor` asks for the next page; without one, there is none.
    """
    shelf, most = service.shelf, service.settings.max_hits
    async with service.intake.body(request) as body:
        form = await search_form(body)
        _check(form)
        if form.cursor is None:
            asked = await _asked(request, form, body, service)
            offset, like, only, where = 0, form.like, _labels(form.only), form.where or ""
            ranking: Ranking | Plan | None = "cosine" if form.raw else None
            whole = form.all_segments
        else:
            at = Cursor.read(form.cursor, most)
            asked = Asked(decoded(at.vector, service.encoder.dim), None, await _liked(at, shelf))
            offset, like, only, where = at.offset, at.like, at.only, at.where
            ranking, whole = at.plan, at.all_segments
    result = await shelf.search(
        asked,
        k=min(form.k, most - offset),
        offset=offset,
        where=admitted(only, where),
        ranking=ranking,
        folded=not whole,
    )
    following, cursor = offset + len(result.found), None
    if result.more and following < most:
        cursor = Cursor(
            vector=str(encoded(asked.vector, "base64")),
            offset=following,
            ranking=result.plan.ranking,
            shares=dict(result.plan.shares),
            like=like,
            only=only,
            where=where,
            all_segments=whole,
        ).word()
    return SearchOut(
        ranking=result.ranking,
        how=HOW[result.ranking],
        shares=result.shares,
        hits=hits(result),
        cursor=cursor,
    )


def _check(form: SearchForm) -> None:
    asked = [
        any(part is not None for part in (form.text, form.image, form.video)),
        form.like is not None,
        form.embedding is not None,
        form.cursor is not None,
    ]
    if sum(asked) != 1:
        raise RequestError(
            422,
            "A search is by text, image and video, or by 'like', 'embedding' or 'cursor'.",
            "Give one of the four.",
        )
    if form.instruction is not None and not asked[0]:
        raise RequestError(
            422,
            "An instruction is for what is embedded.",
            "Send it with text, image or video.",
            param="instruction",
        )
    if form.cursor is not None and form.model_fields_set - {"cursor", "k"}:
        raise RequestError(
            422, "A cursor goes on with the search as it was asked.", "Send it alone, or with 'k'."
        )


async def _asked(request: Request, form: SearchForm, body: Body, service: Service) -> Asked:
    if form.embedding is not None:
        return Asked(decoded(form.embedding, service.encoder.dim))
    if form.like is not None:
        row = await service.shelf.row(form.like)
        return Asked(row.vector, None, (row.record,))
    async with service.uploads(body.files) as place:
        try:
            item = await place.item(form)
        except ItemError as error:
            raise RequestError(400, place.plain(str(error))) from error
        (result,) = await service.embedded(request, [item])
        if result.vector is None:
            raise RequestError(400, place.plain(result.error or "The query cannot be embedded."))
        return Asked(result.vector, item)


async def _liked(at: Cursor, shelf: Shelf) -> tuple[Record, ...]:
    """What the search was asked with; it may have left the library since."""
    try:
        return () if at.like is None else (await shelf.record(at.like),)
    except RequestError:
        return ()


def _labels(only: str | list[str] | None) -> list[str]:
    return [only] if isinstance(only, str) else only or []
