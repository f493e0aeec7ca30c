"""What Prometheus reads of a server."""

from __future__ import annotations

import time
from http import HTTPMethod

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset(HTTPMethod)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server, apart from any other's in the process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "unite_requests", "Requests.", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "unite_request_seconds",
            "From a request's head to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.items = Counter("unite_items", "Items given out.", ["outcome"], registry=registry)
        self.batch_items = Histogram(
            "unite_batch_items", "Items in a batch.", ["lane"], buckets=_ITEMS, registry=registry
        )
        self.batch_seconds = Histogram(
            "unite_batch_seconds",
            "Decoding and network of a batch.",
            ["lane"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge("unite_waiting_items", "Items not embedded yet.", registry=registry)
        self.held = Gauge("unite_held_bytes", "Bytes of bodies under way.", registry=registry)

    def batch(self, lane: str, items: int, seconds: float) -> None:
        """Take note of a batch."""
        self.batch_items.labels(lane).observe(items)
        self.batch_seconds.labels(lane).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text form."""
        return generate_latest(self._registry)


class Measured:
    """Middleware that counts and times requests by the route that took them.

    Args:
        app: What to measure.
        metrics: Takes it down.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # Never the address itself, nor a method that somebody made up: whoever asks for many
            # would make many series.
            route = getattr(scope.get("route"), "path", None) or "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(route, method, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)
