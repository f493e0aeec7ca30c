"""Whatever the interface's own description allows, and what it does not, is answered below 500."""

from __future__ import annotations

from typing import Any

import pytest

from .running import Server

pytestmark = pytest.mark.slow
OPERATIONS = [
    ("/v1/embeddings", "POST"),
    ("/v1/search", "POST"),
    ("/v1/models", "GET"),
    ("/v1/library", "GET"),
    ("/v1/items/{key}", "GET"),
    ("/v1/items/{key}/thumbnail", "GET"),
    ("/v1/items/{key}/media", "GET"),
]


@pytest.fixture(scope="module")
def schema(server: Server) -> Any:
    import schemathesis

    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_breaks_the_server(schema: Any, path: str, method: str, mode: str) -> None:
    from hypothesis import HealthCheck, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import GenerationMode

    cases = schema[path][method].as_strategy(generation_mode=GenerationMode[mode])

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def send(case: Any) -> None:
        answer = case.call()
        assert answer.status_code < 500, answer.text

    try:
        send()
    except Unsatisfiable:
        assert mode == "NEGATIVE"  # nothing to get wrong: it takes no parameters
