"""`/v1/embeddings` as OpenAI's clients call it, and for batches of mixed items."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from unite.errors import ItemError
from unite.serve.bodies import body_of, failures
from unite.serve.faults import RequestError
from unite.serve.forms import embeddings_form
from unite.serve.schemas import EmbeddingsForm, EmbeddingsOut, ItemForm, ModelOut, ModelsOut
from unite.serve.service import Here, Service
from unite.serve.uploads import Uploads
from unite.serve.vectors import encoded, shortened
from unite.types import Embedding, Item

router = APIRouter(prefix="/v1", tags=["embeddings"])


@router.post(
    "/embeddings",
    response_model=EmbeddingsOut,
    responses=failures(400, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=body_of(EmbeddingsForm),
)
async def embeddings(request: Request, service: Here) -> JSONResponse:
    """Embed texts, pictures, clips and any mix of them.

    `input` is a text or a list of texts, as OpenAI has it: then one that fails fails the request.
    Or it is an item or a list of items, `{"text", "image", "video", "instruction"}`: then one that
    fails has `"embedding": null` and an `error`, and the others their vectors.
    """
    async with service.intake.body(request) as body:
        form = await embeddings_form(body)
        _check(form, service)
        async with service.uploads(body.files) as place:
            results = await _embedded(request, form.items, place, service)
    if form.strict:
        _raise_first(results)
    return JSONResponse(_answer(form, results, service.encoder.name))


@router.get("/models", response_model=ModelsOut)
async def models(service: Here) -> ModelsOut:
    """The model that is served."""
    return ModelsOut(data=[ModelOut(id=service.encoder.name)])


def _check(form: EmbeddingsForm, service: Service) -> None:
    name, dim, most = service.encoder.name, service.encoder.dim, service.settings.max_items
    if form.model not in (None, name, service.encoder.model_id):
        raise RequestError(
            404,
            f"The model {form.model!r} is not served.",
            f"Ask for {name!r}.",
            param="model",
            code="model_not_found",
        )
    if not form.items:
        raise RequestError(400, "The input is empty.", "Give at least one item.", param="input")
    if len(form.items) > most:
        raise RequestError(
            413, f"The input has {len(form.items)} items; at most {most} are taken.", param="input"
        )
    if form.dimensions is not None and form.dimensions > dim:
        raise RequestError(
            400, f"dimensions is {form.dimensions}; vectors have {dim}.", param="dimensions"
        )


async def _embedded(
    request: Request, forms: Sequence[str | ItemForm], place: Uploads, service: Service
) -> list[Embedding]:
    """One result for each form: those that make no item fail themselves alone."""
    made: list[Item | Embedding] = []
    for form in forms:
        try:
            made.append(await place.item(form))
        except ItemError as error:
            made.append(Embedding(None, error=place.plain(str(error))))
    items = [item for item in made if isinstance(item, Item)]
    found = iter(await service.embedded(request, items))
    results = [next(found) if isinstance(one, Item) else one for one in made]
    for result in results:
        outcome = "failed" if result.vector is None else "embedded"
        service.metrics.items.labels(outcome).inc()
    return [_plain(result, place) for result in results]


def _plain(result: Embedding, place: Uploads) -> Embedding:
    if result.error is None:
        return result
    return Embedding(None, error=place.plain(result.error))


def _raise_first(results: Sequence[Embedding]) -> None:
    for number, result in enumerate(results):
        if result.vector is None:
            raise RequestError(400, f"Input {number}: {result.error}", param=f"input.{number}")


def _answer(form: EmbeddingsForm, results: Sequence[Embedding], model: str) -> dict[str, object]:
    data = []
    for number, result in enumerate(results):
        row: dict[str, object] = {"object": "embedding", "index": number, "embedding": None}
        if result.vector is None:
            row["error"] = {"message": result.error}
        else:
            vector = shortened(result.vector, form.dimensions)
            row["embedding"] = encoded(vector, form.encoding_format or "float")
        if result.note:
            row["note"] = result.note
        data.append(row)
    tokens = sum(result.tokens for result in results)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}
