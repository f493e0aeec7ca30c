"""Whether the server lives, whether it is ready, and its figures."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from unite.serve.bodies import failures
from unite.serve.faults import RequestError
from unite.serve.service import Here

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok\n"


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_class=PlainTextResponse, responses=failures(503))
async def readyz(service: Here) -> str:
    """The model has embedded, and the server is not ending."""
    if not service.ready:
        raise RequestError(503, "The model is not ready.", retry_after=1)
    return "ready\n"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(service: Here) -> Response:
    """Prometheus' text form."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
