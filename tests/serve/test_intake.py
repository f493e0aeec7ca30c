"""Clients that send too much, too slowly, or leave, harm nobody."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from .running import Server, gated

HEAD = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gated(max_bytes=20_000, max_bytes_in_flight=30_000) as (server, _):
        yield server


def talk(server: Server, *sent: bytes) -> tuple[int, str, str | None]:
    """Status, message, and when to try again."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=200) as wire:
        for part in sent:
            wire.sendall(part)
        answer = HTTPResponse(wire)
        answer.begin()
        told = json.loads(answer.read())["error"]["message"]
        return answer.status, told, answer.headers["retry-after"]


def well(server: Server) -> bool:
    """The server answers, and holds no bytes of the others."""
    deadline = time.monotonic() + 200
    while server.service.intake.held and time.monotonic() < deadline:
        time.sleep(0.01)
    with server.client() as client:
        answer = client.post("/v1/embeddings", json={"input": "a"})
    return answer.status_code == 200 and server.service.intake.held == 0


def test_a_declared_gigabyte_is_refused_before_it_is_sent(server: Server) -> None:
    status, told, _ = talk(server, f"{HEAD}Content-Length: {1 << 30}\r\n\r\n".encode())
    assert status == 413
    assert "20,000" in told
    assert well(server)


def test_an_undeclared_one_is_refused_on_the_way(server: Server) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    status, _, _ = talk(server, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(), chunk, chunk)
    assert status == 413
    assert well(server)


def test_one_that_stalls_is_let_go() -> None:
    with gated(body_seconds=0.3) as (server, _):
        status, _, _ = talk(server, f'{HEAD}Content-Length: 100\r\n\r\n{{"inp'.encode())
        assert status == 408
        assert well(server)


def test_one_that_leaves_holds_nothing(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(f"{HEAD}Content-Length: 10000\r\n\r\n{' ' * 5000}".encode())
    assert well(server)


def test_all_together_may_hold_so_much(server: Server) -> None:
    body = json.dumps({"input": "a" * 15_000}).encode()
    head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port)) as first:
        first.sendall(head + body[:-1])
        while server.service.intake.held < len(body) - 1:
            time.sleep(0.001)
        status, _, again = talk(server, head + body)
    assert (status, again) == (429, "1")
    assert well(server)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_kinds_of_body_are_refused(server: Server, kind: str) -> None:
    with server.client() as client:
        answer = client.post("/v1/embeddings", content=b"input=a", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""),
        ("application/json", b"\xff\xfe"),
        ("application/json", b'{"input": "\\ud800"}'),
        ("application/json", b"[" * 10_000),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no form"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="input"\r\n\r\n{\r\n--b--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n--b--\r\n',
        ),
    ],
)
def test_nonsense_is_the_clients_fault(server: Server, kind: str, body: bytes) -> None:
    with server.client() as client:
        answer = client.post("/v1/embeddings", content=body, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["message"]
