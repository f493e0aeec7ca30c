from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import pytest

from unite.embedder import Embedder
from unite.media.source import Limits
from unite.model.checkpoint import Model
from unite.serve.app import create_app
from unite.serve.settings import Settings
from unite.types import Clip, Item, Vector

from .conftest import data_uri
from .running import Server, gated, running, vector_of


def offline(encoder: Embedder, *items: Item) -> list[Vector]:
    found = [result.vector for result in encoder.embed(items)]
    assert all(vector is not None for vector in found)
    return found  # type: ignore[return-value]


def post(client: httpx2.Client, **body: Any) -> httpx2.Response:
    return client.post("/v1/embeddings", json=body)


def vectors(answer: httpx2.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [row["embedding"] for row in answer.json()["data"]]


@pytest.fixture(scope="module")
def official(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_the_official_client_gets_the_offline_vectors(
    official: openai.OpenAI, encoder: Embedder
) -> None:
    texts = ["a red boat", "", "the sea at night, and the lighthouse " * 3]
    answer = official.embeddings.create(input=texts, model=encoder.name)
    wanted = offline(encoder, *(Item(text=text) for text in texts))
    np.testing.assert_allclose([row.embedding for row in answer.data], wanted, atol=1e-4)
    assert answer.usage.prompt_tokens == sum(r.tokens for r in encoder.embed(map(Item, texts)))
    assert answer.usage.prompt_tokens > 0
    as_numbers = official.embeddings.create(
        input="a red boat", model=encoder.name, encoding_format="float", dimensions=8
    )
    head = wanted[0][:8] / np.linalg.norm(wanted[0][:8])
    np.testing.assert_allclose(as_numbers.data[0].embedding, head, atol=1e-4)
    assert [model.id for model in official.models.list()] == [encoder.name]


def test_the_official_client_understands_refusals(
    official: openai.OpenAI, encoder: Embedder
) -> None:
    with pytest.raises(openai.NotFoundError, match="is not served"):
        official.embeddings.create(input="a", model="text-embedding-3-small")
    with pytest.raises(openai.BadRequestError, match="Input 1"):
        official.embeddings.create(input=["a", "word " * 2000], model=encoder.name)
    with pytest.raises(openai.UnprocessableEntityError, match="token numbers"):
        official.embeddings.create(input=[1, 2, 3], model=encoder.name)


def test_mixed_items_are_the_offline_ones(
    client: httpx2.Client, encoder: Embedder, media: Path
) -> None:
    picture, clip = media / "p0.png", media / "clip.mp4"
    sent = [
        {"image": data_uri(picture)},
        "words alone",
        {"text": "words", "image": [data_uri(picture)], "instruction": "find it"},
        {"video": data_uri(clip, "video/mp4")},
    ]
    wanted = offline(
        encoder,
        Item(images=(str(picture),)),
        Item(text="words alone"),
        Item(text="words", images=(str(picture),), instruction="find it"),
        Item(videos=(Clip(str(clip)),)),
    )
    np.testing.assert_allclose(vectors(post(client, input=sent)), wanted, atol=1e-4)


def test_files_may_be_sent_as_a_form(client: httpx2.Client, encoder: Embedder, media: Path) -> None:
    picture, clip = media / "p1.png", media / "clip.mp4"
    wanted = offline(encoder, Item(images=(str(picture),)), Item(videos=(Clip(str(clip)),)))
    files = [("image", picture.read_bytes()), ("video", clip.read_bytes())]
    answer = client.post("/v1/embeddings", files=files, data={"encoding_format": "base64"})
    found = [np.frombuffer(base64.b64decode(text), "<f4") for text in vectors(answer)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    named = json.dumps([{"image": "attachment:one"}])
    answer = client.post(
        "/v1/embeddings", files={"one": picture.read_bytes()}, data={"input": named}
    )
    np.testing.assert_allclose(vectors(answer), wanted[:1], atol=1e-4)


def test_a_bad_item_fails_itself_alone(client: httpx2.Client, media: Path) -> None:
    broken = {"image": data_uri(media / "broken.png")}
    answer = post(client, input=[{"text": "a"}, broken, {"image": "data:,x"}, {}, {"text": "b"}])
    rows = answer.json()["data"]
    assert answer.status_code == 200
    assert [row["embedding"] is None for row in rows] == [False, True, True, True, False]
    assert all(row["error"]["message"] for row in rows[1:4])
    assert "/tmp" not in answer.text
    assert rows[1]["error"]["message"].startswith("The image")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"input": []}, 400, "empty"),
        ({"input": ["a"] * 129}, 413, "128"),
        ({"input": "a", "dimensions": 99999}, 400, "dimensions"),
        ({"input": "a", "dimensions": 0}, 422, "dimensions"),
        ({"input": "a", "dimensions": True}, 422, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 422, "encoding_format"),
        ({"input": [{"imge": "x"}]}, 422, "input.0.imge"),
        ({"input": [{"image": "/etc/passwd"}]}, 400, "paths"),
        ({}, 422, "input"),
        ({"input": "a" * 200_001}, 422, "200000"),
    ],
)
def test_refusals_say_what_is_wrong(
    client: httpx2.Client, body: dict[str, Any], status: int, words: str
) -> None:
    answer = post(client, **body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_pixels_and_seconds_have_limits(tiny_model: Model, media: Path) -> None:
    limits = Settings(max_pixels=320 * 240, max_seconds=1).media
    sent = [{"image": data_uri(media / "p0.png")}, {"video": data_uri(media / "clip.mp4")}]

    def rows(limits: Limits) -> list[dict[str, Any]]:
        with Embedder(tiny_model, limits=limits) as small, ExitStack() as stack:
            client = stack.enter_context(running(create_app(None, small))).client()
            found: list[dict[str, Any]] = post(stack.enter_context(client), input=sent).json()[
                "data"
            ]
            return found

    seconds, pixels = rows(limits), rows(Settings(max_pixels=100).media)
    assert "limit is 1 s" in seconds[1]["error"]["message"]
    assert seconds[0]["embedding"]
    assert all("pixels" in row["error"]["message"] for row in pixels)


def test_many_clients_each_get_their_own(
    client: httpx2.Client, encoder: Embedder, media: Path
) -> None:
    texts = [f"boat {number}" for number in range(24)]
    pictures = [media / f"p{number % 3}.png" for number in range(24)]
    items = [Item(text=t, images=(str(p),)) for t, p in zip(texts, pictures, strict=True)]
    wanted = offline(encoder, *(Item(text=text) for text in texts)), offline(encoder, *items)

    def ask(number: int) -> None:
        words = vectors(post(client, input=texts[number]))
        mixed = {"text": texts[number], "image": data_uri(pictures[number])}
        both = vectors(post(client, input=[mixed]))
        np.testing.assert_allclose(words[0], wanted[0][number], atol=1e-4)
        np.testing.assert_allclose(both[0], wanted[1][number], atol=1e-4)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(ask, range(24)))


def test_a_full_queue_is_429_and_says_when_to_try_again() -> None:
    with gated(is_open=False, queue=4, max_items=4) as (server, encoder), server.client() as client:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(post, client, input=["abc"] * 4)
            assert encoder.begun.wait(200)
            turned_away = post(client, input="a")
            encoder.gate.set()
            assert waiting.result().status_code == 200
        assert turned_away.status_code == 429
        assert int(turned_away.headers["retry-after"]) >= 1
        np.testing.assert_allclose(vectors(post(client, input="abc"))[0], vector_of("abc"))


def test_a_failing_model_is_a_500_without_secrets() -> None:
    with gated() as (server, _), server.client() as client:
        answer = post(client, input="boom")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert answer.json()["error"]["type"] == "server_error"
        assert post(client, input="a").status_code == 200


def test_shutdown_finishes_what_is_under_way() -> None:
    with gated(is_open=False) as (server, encoder):
        with server.client() as client, ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(post, client, input="abc")
            assert encoder.begun.wait(200)
            server.uvicorn.should_exit = True
            encoder.gate.set()
            np.testing.assert_allclose(vectors(waiting.result())[0], vector_of("abc"))
        server.thread.join(200)
        assert not server.thread.is_alive()


def test_what_nobody_waits_for_is_not_embedded() -> None:
    with gated(is_open=False) as (server, encoder):
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.sendall(request_of(["held up"]))
            assert encoder.begun.wait(200)
            left = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
            for one in left:
                one.sendall(request_of(["abandoned"] * 100))
            wait_until(lambda: server.service.batcher.waiting == 301)
            for one in left:
                one.close()
            wait_until(lambda: server.service.batcher.waiting == 1)
            wait_until(lambda: server.service.intake.held < 1000)
            encoder.gate.set()
            assert b"200 OK" in first.recv(4096)
        with server.client() as client:
            assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 200
            half = request_of(["half"])[:-4]
            with socket.create_connection(("127.0.0.1", server.port)) as one:
                one.sendall(half)
            wait_until(lambda: 'status="499"} 4.0' in client.get("/metrics").text)
    assert encoder.batches == [1, 1]


def request_of(texts: list[str]) -> bytes:
    body = json.dumps({"input": texts}).encode()
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("files", "data", "said"),
    [
        ([("image", b"x"), ("image", b"y")], {"input": '["a"]'}, "Two files are named 'image'"),
        ([], {"input": ['["a"]', '["b"]']}, "'input' was sent twice"),
        ([], {"input": '["a"]', "encoding_format": ["float", "base64"]}, "encoding_format"),
    ],
)
def test_what_was_sent_twice_is_told(
    client: httpx2.Client, files: list[tuple[str, bytes]], data: dict[str, Any], said: str
) -> None:
    parts: Any = [*files, ("unused", b"x")]
    answer = client.post("/v1/embeddings", files=parts, data=data)
    assert 400 <= answer.status_code < 500
    assert said in answer.json()["error"]["message"]


def test_no_format_is_the_usual_one(client: httpx2.Client) -> None:
    answer = client.post("/v1/embeddings", json={"input": "a", "encoding_format": None})
    assert isinstance(answer.json()["data"][0]["embedding"], list)


def test_each_of_many_media_is_called_what_it_is(client: httpx2.Client) -> None:
    data = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\nbroken").decode()
    answer = client.post("/v1/embeddings", json={"input": [{"image": data}] * 12})
    for row in answer.json()["data"]:
        assert row["error"]["message"].startswith("The image "), row
