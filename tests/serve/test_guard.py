from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pytest

from unite.serve.app import create_app
from unite.serve.settings import Settings

from .running import Gated, Server, gated, running

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    # The probes stand open, so the server is seen to be ready.
    with gated(token=TOKEN) as (server, _):
        yield server


@pytest.mark.parametrize("path", ["/", "/app.js", "/healthz", "/v1/library", "/nowhere"])
def test_every_answer_is_strict(client: httpx2.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080"])
def test_other_names_are_refused(client: httpx2.Client, host: str) -> None:
    assert client.get("/v1/library", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8080"])
def test_loopback_has_its_names(client: httpx2.Client, host: str) -> None:
    assert client.get("/v1/library", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_other_sites_pages_cannot_ask(client: httpx2.Client, headers: dict[str, str]) -> None:
    answer = client.post("/v1/search", json={"text": "a"}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/library", "/v1/items/x/media", "/metrics", "/openapi.json", "/v1/none"],
)
def test_nothing_but_the_page_and_the_probes_without_the_token(locked: Server, path: str) -> None:
    with locked.client() as client:
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.get(path, headers={"cookie": 'unite_token=""; =;;'}).status_code == 401
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        *(
            {"cookie": f"{other}; unite_token={TOKEN}"}
            for other in ("a=b", 'prefs={"a":1}', "theme=dark mode", "a b=1", "x[0]=1", "alone")
        ),
    ],
)
def test_the_token_opens(locked: Server, headers: dict[str, str]) -> None:
    with locked.client(headers=headers) as client:
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://evil.example", "null", "//["])
def test_an_origin_that_is_none_is_refused_like_another(client: httpx2.Client, origin: str) -> None:
    assert client.get("/v1/library", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("token", ["schlüssel", "voilà", "Å"])
def test_a_token_may_have_any_letters(token: str) -> None:
    with running(create_app(None, Gated(), Settings(token=token))) as server:  # type: ignore[arg-type]
        for headers in (
            {b"authorization": f"Bearer {token}".encode()},
            {b"cookie": f"unite_token={quote(token)}".encode()},
        ):
            with server.client() as client:
                assert client.get("/v1/models", headers=headers).status_code == 200
