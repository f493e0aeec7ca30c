from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from unite.library.library import Library
from unite.library.progress import Progress, published
from unite.serve.shelf import key_of
from unite.stores.protocol import Row

from .running import Server


@pytest.fixture(scope="module")
def key(media: Path) -> str:
    return key_of(str(media / "p0.png"))


@pytest.fixture
def planted(library: Library, tmp_path: Path) -> Iterator[Path]:
    """Files of kinds that nobody indexes, as records of the library all the same."""
    some = next(iter(library.store.records()))
    vector = np.eye(library.facts.dim, dtype=np.float32)[0]
    rows = []
    for name in ("page.html", "drawing.svg", "gone.png"):
        path = tmp_path / name
        path.write_text("<script>alert(1)</script>")
        rows.append(Row(replace(some, id=str(path), path=str(path), modality="image"), vector))
    (tmp_path / "gone.png").unlink()
    library.store.upsert(rows)
    yield tmp_path
    library.store.delete([row.record.id for row in rows])


def test_what_is_known_of_an_item(client: httpx2.Client, key: str, media: Path) -> None:
    facts = client.get(f"/v1/items/{key}").json()
    assert facts["path"] == str(media / "p0.png")
    assert facts["size"] == (media / "p0.png").stat().st_size
    assert (facts["kind"], facts["modality"]) == ("image", "image")


@pytest.mark.parametrize("name", ["p0.png", "clip.mp4"])
def test_thumbnails_are_small_pictures_that_are_kept(
    client: httpx2.Client, media: Path, name: str
) -> None:
    facts = client.get(f"/v1/items/{key_of(str(media / name))}").json()
    answer = client.get(facts["thumbnail"])
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    assert max(Image.open(io.BytesIO(answer.content)).size) <= 480
    again = client.get(facts["thumbnail"], headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_thumbnail_may_be_large_where_a_browser_knows_not_the_kind(
    client: httpx2.Client, key: str
) -> None:
    at = f"/v1/items/{key}/thumbnail"
    small, large = client.get(f"{at}?side=16"), client.get(f"{at}?side=2048")
    assert max(Image.open(io.BytesIO(small.content)).size) == 16
    assert max(Image.open(io.BytesIO(large.content)).size) > 16
    tag = {"if-none-match": small.headers["etag"]}
    assert client.get(f"{at}?side=16", headers=tag).status_code == 304
    assert client.get(f"{at}?side=2048", headers=tag).status_code == 200
    for side in ("0", "2049", "wide"):
        assert client.get(f"{at}?side={side}").status_code == 422


def test_a_text_has_no_thumbnail(client: httpx2.Client) -> None:
    hit = client.post("/v1/search", json={"text": "x", "only": "text"}).json()["hits"][0]
    assert hit["thumbnail"] is None
    assert client.get(f"/v1/items/{hit['id']}/thumbnail").status_code == 404
    assert client.get(hit["media"]).headers["content-type"].startswith("text/plain")


def test_media_come_whole_and_by_ranges(client: httpx2.Client, media: Path) -> None:
    whole = (media / "clip.mp4").read_bytes()
    address = f"/v1/items/{key_of(str(media / 'clip.mp4'))}/media"
    answer = client.get(address)
    assert answer.content == whole
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    part = client.get(address, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert client.get(address, headers={"range": "bytes=-7"}).content == whole[-7:]
    assert client.get(address, headers={"range": f"bytes={len(whole)}-"}).status_code == 416


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "", "\0", "ü" * 2000])
def test_only_what_is_in_the_library_is_served(client: httpx2.Client, name: str) -> None:
    for part in ("", "/media", "/thumbnail"):
        assert client.get(f"/v1/items/{key_of(name) or 'x'}{part}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2fapp.py",
        "//etc/passwd",
        "/static/../app.py",
        "/v1/items/%2fetc%2fpasswd/media",
    ],
)
def test_paths_lead_nowhere(server: Server, path: str) -> None:
    import http.client

    wire = http.client.HTTPConnection("127.0.0.1", server.port)
    wire.request("GET", path)  # as it stands: other clients would tidy it
    answer = wire.getresponse()
    body = answer.read()
    assert answer.status in (400, 404)
    assert b"root:" not in body
    assert b"import" not in body
    wire.close()


def test_what_browsers_run_is_only_saved(client: httpx2.Client, planted: Path) -> None:
    for name in ("page.html", "drawing.svg"):
        answer = client.get(f"/v1/items/{key_of(str(planted / name))}/media")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert client.get(f"/v1/items/{key_of(str(planted / name))}/thumbnail").status_code == 404


def test_a_file_that_has_gone_says_so(client: httpx2.Client, planted: Path) -> None:
    answer = client.get(f"/v1/items/{key_of(str(planted / 'gone.png'))}/media")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "file_gone"
    assert "unite index" in answer.json()["error"]["message"]


def test_the_library_tells_what_it_holds_and_how_far_indexing_is(
    client: httpx2.Client, library: Library
) -> None:
    facts = client.get("/v1/library").json()
    assert facts["modalities"] == {"image": 3, "text": 2, "video": 1}
    assert facts["count"] == 6
    assert facts["indexing"] is None
    with published(library.path) as publish:
        publish(Progress(3, 10, 1))
        now = client.get("/v1/library").json()["indexing"]
    assert now == {"done": 3, "total": 10, "failed": 1}
    assert client.get("/v1/library").json()["indexing"] is None
