"""What stands before every request: who may ask, and what browsers may do with the answer."""

from __future__ import annotations

import hmac
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unite.serve.faults import RequestError, unknown

COOKIE = "unite_token"
"""In which the page keeps the token: pictures and clips cannot send headers."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_GUARDED = ("/v1/", "/metrics", "/openapi.json")


class Guard:
    """Middleware that turns away who may not ask, and adds the headers.

    Args:
        app: What to guard.
        token: What clients must present to all but the page and the probes; None: nothing.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer that it is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = False

        async def adding(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, adding)
        except RequestError as refusal:
            await refusal.response()(scope, receive, adding)
        except Exception as error:
            if begun:
                raise
            await unknown(scope, error)(scope, receive, adding)

    def _check(self, scope: Scope) -> None:
        if not scope["path"].startswith(_GUARDED):
            return
        headers = Headers(scope=scope)
        _check_origin(headers)
        if self._token is None:
            return
        if not any(hmac.compare_digest(self._token.encode(), word) for word in _tokens(headers)):
            raise RequestError(
                401,
                "A token is needed.",
                "Send it as `Authorization: Bearer TOKEN`.",
                code="invalid_api_key",
            )


def _check_origin(headers: Headers) -> None:
    """Refuse what another site's page has a browser send; reading is closed to it anyhow."""
    origin = headers.get("origin")
    foreign = origin is not None and _place(origin) != headers.get("host")
    if foreign or headers.get("sec-fetch-site") == "cross-site":
        raise RequestError(403, "Other sites' pages may not call this server.", code="cross_origin")


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # no browser's
        return ""


def _tokens(headers: Headers) -> list[bytes]:
    kind, _, word = headers.get("authorization", "").partition(" ")
    found = [word.strip(" \t").encode("latin-1")] if kind.lower() == "bearer" else []
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)  # others' may be of any form
    return found if cookie is None else [*found, unquote(cookie).encode()]
