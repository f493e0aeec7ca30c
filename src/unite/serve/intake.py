"""Bodies of requests, read as they come and refused as soon as they are too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from unite.serve.faults import CLIENT_LEFT, RequestError
from unite.serve.settings import Settings

_FIELD_BYTES = 8 << 20  # of a field that is no file: held in memory


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it was sent: JSON, or the fields and files of a form.

    A field that was sent several times is a list.
    """

    json: bytes | None
    fields: dict[str, str | list[str]]
    files: list[tuple[str, UploadFile]]


class Intake:
    """Reads bodies; knows how much all requests hold together.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[Body]:
        """A request's body, counted until the block ends.

        Raises:
            RequestError: It is too long or too slow, or not of a kind that is read.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "multipart/form-data"):
            raise RequestError(
                415,
                f"The body is {kind or 'of no named type'}.",
                "Send application/json or multipart/form-data.",
            )
        counted = _Counted(self, request)
        form = None
        try:
            async with _in_time(self._settings.body_seconds):
                if kind == "application/json":
                    json: bytes | None = await counted.request.body()
                    fields, files = {}, []
                else:
                    json = None
                    form = await self._form(counted.request)
                    pairs = form.multi_items()
                    fields = _fields((key, part) for key, part in pairs if isinstance(part, str))
                    files = [(key, part) for key, part in pairs if isinstance(part, UploadFile)]
            yield Body(json, fields, files)
        finally:
            self.held -= counted.bytes
            if form is not None:
                await form.close()

    async def _form(self, request: Request) -> FormData:
        try:
            return await request.form(
                max_files=self._settings.max_items, max_fields=32, max_part_size=_FIELD_BYTES
            )
        except MultiPartException as error:
            raise RequestError(400, f"The form cannot be read: {error.message}") from error

    def count(self, size: int, total: int) -> None:
        """Take note of bytes that came in.

        Raises:
            RequestError: They are too many, for one request or for all.
        """
        self.held += size
        if total > self._settings.max_bytes:
            raise too_long(total, self._settings.max_bytes)
        if self.held > self._settings.max_bytes_in_flight:
            raise RequestError(
                429, "The server holds as much as it can.", "Try again soon.", retry_after=1
            )


class _Counted:
    """A request whose bytes are counted as they come."""

    def __init__(self, intake: Intake, request: Request) -> None:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > intake._settings.max_bytes:
            raise too_long(int(declared), intake._settings.max_bytes)
        self._intake = intake
        self._receive = request.receive
        self.bytes = 0
        self.request = Request(request.scope, self.receive)

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self.bytes += size
        self._intake.count(size, self.bytes)
        return message


def _fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    found: dict[str, list[str]] = {}
    for key, part in pairs:
        found.setdefault(key, []).append(part)
    return {key: parts[0] if len(parts) == 1 else parts for key, parts in found.items()}


def too_long(size: int, limit: int) -> RequestError:
    """A body beyond the limit."""
    return RequestError(
        413,
        f"The body has {size:,} bytes or more; at most {limit:,} are taken.",
        "Send less at a time, or smaller media.",
        code="body_too_large",
    )


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise RequestError(408, f"The body did not arrive within {seconds:g} s.") from error
    except ClientDisconnect as error:
        raise RequestError(CLIENT_LEFT, "The client has left.") from error
