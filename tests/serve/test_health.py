from __future__ import annotations

import asyncio

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from unite.serve.app import create_app

from .running import Gated, gated

REQUESTS = "unite_requests_total"


def test_ready_is_when_the_model_has_embedded() -> None:
    async def look() -> None:
        encoder = Gated(is_open=False)
        app = create_app(None, encoder)
        wire = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=wire, base_url="http://localhost") as client:
            async with app.router.lifespan_context(app):
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 503
                encoder.gate.set()
                encoder.media_gate.set()
                async with asyncio.timeout(10):
                    while (await client.get("/readyz")).status_code != 200:
                        await asyncio.sleep(0.01)
            assert (await client.get("/readyz")).status_code == 503

    asyncio.run(look())


def test_figures_are_prometheus() -> None:
    with gated() as (server, _), server.client() as client:
        client.post("/v1/embeddings", json={"input": [{"text": "a"}, {"text": "bad"}]})
        for number in range(20):
            client.get(f"/v1/items/{number}")
        while 'unite_batch_items_sum{lane="text"} 3' not in (text := client.get("/metrics").text):
            pass  # a batch is counted after its last result is given out
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    value = {(one.name, *sorted(one.labels.values())): one.value for one in samples}
    assert value["unite_items_total", "embedded"] == 1
    assert value["unite_items_total", "failed"] == 1
    assert value["unite_batch_items_sum", "text"] == 3  # with the one of the warm-up
    assert value["unite_requests_total", "/v1/embeddings", "200", "POST"] == 1
    assert value["unite_requests_total", "/v1/items/{key}", "404", "GET"] == 20
    assert value["unite_waiting_items",] == 0
    assert value["unite_held_bytes",] == 0


def test_methods_that_there_are_not_make_one_series() -> None:
    with gated() as (server, _), server.client() as client:
        for number in range(20):
            client.request(f"MADEUP{number}", "/healthz")
        client.options("/healthz")
        text = client.get("/metrics").text
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    counted = {one.labels["method"]: one.value for one in samples if one.name == REQUESTS}
    assert counted.keys() == {"other", "OPTIONS", "GET"}  # the last asked whether it is there
    assert (counted["other"], counted["OPTIONS"]) == (20, 1)


def test_openapi_tells_of_everything(client: httpx2.Client) -> None:
    told = client.get("/openapi.json").json()
    assert set(told["paths"]) == {
        "/v1/embeddings",
        "/v1/models",
        "/v1/search",
        "/v1/library",
        "/v1/items/{key}",
        "/v1/items/{key}/thumbnail",
        "/v1/items/{key}/media",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    body = told["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    assert "like" in body["application/json"]["schema"]["properties"]
    assert "$ref" not in str(body)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_head_alone(client: httpx2.Client, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == client.get(path).status_code
    assert answer.content == b""
