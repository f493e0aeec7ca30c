"""A body, JSON or form, as the values that it stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from unite.serve.faults import RequestError, unfit
from unite.serve.intake import Body
from unite.serve.schemas import EmbeddingsForm, Form, SearchForm

F = TypeVar("F", bound=Form)
_MEDIA = ("image", "video")


async def embeddings_form(body: Body) -> EmbeddingsForm:
    """A request for embeddings.

    In a form, `input` is JSON that may name files as `attachment:FIELD`; without it, every file
    under `image` or `video` is an item, in order.

    Raises:
        RequestError: It does not hold.
    """
    if body.json is not None:
        return await _from_json(EmbeddingsForm, body.json)
    fields: dict[str, Any] = dict(body.fields)
    if "input" in fields:
        _refuse_namesakes([name for name, _ in body.files])
        if isinstance(fields["input"], list):
            raise RequestError(422, "'input' was sent twice.", "Send one list.", param="input")
        try:
            fields["input"] = json.loads(fields["input"])
        except (ValueError, RecursionError) as error:
            raise RequestError(400, f"input is not JSON: {error}.", param="input") from error
        return _checked(EmbeddingsForm, fields)
    items = []
    for number, (kind, file) in enumerate(body.files):
        if kind not in _MEDIA:
            raise RequestError(
                422, f"The file {kind!r} is neither 'image' nor 'video'.", "Or send 'input' too."
            )
        name = f"{kind} {number}"
        items.append({kind: f"attachment:{name}"})
        body.files[number] = (name, file)
    return _checked(EmbeddingsForm, {**fields, "input": items})


async def search_form(body: Body) -> SearchForm:
    """A search; in a form, the files under `image` and `video` are the query's media.

    Raises:
        RequestError: It does not hold.
    """
    if body.json is not None:
        return await _from_json(SearchForm, body.json)
    fields: dict[str, Any] = dict(body.fields)
    for kind in {name for name, _ in body.files}:
        if kind not in _MEDIA:
            raise RequestError(422, f"The file {kind!r} is neither 'image' nor 'video'.")
        if kind in fields:
            raise RequestError(422, f"{kind!r} is a file and a field.", "Send one.", param=kind)
        fields[kind] = []
    for number, (kind, file) in enumerate(body.files):
        body.files[number] = (f"{kind} {number}", file)
        fields[kind].append(f"attachment:{kind} {number}")
    return _checked(SearchForm, fields)


def _refuse_namesakes(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(
            422, f"Two files are named {twice!r}.", "Give each a name of its own.", param=twice
        )


async def _from_json(form: type[F], body: bytes) -> F:
    """In a thread: base64 of many megabytes takes its time."""
    try:
        return await run_in_threadpool(form.model_validate_json, body)
    except ValidationError as error:
        raise unfit(error) from error


def _checked(form: type[F], fields: dict[str, Any]) -> F:
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise unfit(error) from error
