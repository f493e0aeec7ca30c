"""Answers to requests that fail, in the shape that OpenAI's clients read; never a stack trace."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from unite.errors import StoreError, UniteError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
log = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""Status, as nginx has it, of what nobody waits for; it is in the figures alone."""


class RequestError(UniteError):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        message: What was given and what was expected.
        remedy: What to do about it.
        param: The field of the request that is at fault.
        code: A word for programs.
        retry_after: Seconds after which to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        remedy: str = "",
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """The answer to send."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        body = error_body(self.status, str(self), self.param, self.code)
        return JSONResponse(body, self.status, headers)


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind = _TYPES.get(status, usual)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def unfit(error: ValidationError | RequestValidationError) -> RequestError:
    """What is wrong with the first field that is."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    where = ".".join(part for part in parts if not part.startswith("="))
    message = first["msg"].removesuffix(".")
    if first["type"] == "json_invalid":
        return RequestError(400, f"The body: {message}.", code="invalid_json")
    if first["type"] == "extra_forbidden":
        message = "there is no such field"
    return RequestError(
        422, f"{where}: {message}." if where else f"{message}.", param=where or None
    )


def install(app: FastAPI) -> None:
    """Have every failure answered in this shape."""

    @app.exception_handler(RequestError)
    async def fault(_: Request, error: RequestError) -> JSONResponse:
        return error.response()

    @app.exception_handler(UniteError)
    async def known(_: Request, error: UniteError) -> JSONResponse:
        status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, StoreError) else 400
        return RequestError(status, error.message, error.remedy).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return unfit(error).response()

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        body = error_body(error.status_code, str(error.detail))
        return JSONResponse(body, error.status_code, error.headers)


def unknown(scope: Scope, error: Exception) -> JSONResponse:
    """The answer where the server itself is at fault; the log has the rest."""
    log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
    return RequestError(500, "The server failed; its log says why.").response()
