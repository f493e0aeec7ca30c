from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from unite.embedder import Embedder
from unite.errors import LibraryError
from unite.library.ingest import ingest
from unite.library.library import FACTS, Library
from unite.library.search import search as find
from unite.serve.app import create_app
from unite.serve.settings import Settings
from unite.serve.shelf import key_of
from unite.stores.filters import Filter
from unite.stores.protocol import Found
from unite.types import Item, Vector
from unite.whole import write_text

from .conftest import data_uri
from .running import Gated, gated, running


def ask(client: httpx2.Client, **body: Any) -> Any:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(found: Any) -> list[str]:
    return [hit["id"] for hit in found["hits"]]


def test_it_finds_what_the_library_finds(
    client: httpx2.Client, library: Library, encoder: Embedder
) -> None:
    found = ask(client, text="a red boat", k=4)
    wanted = find(library, encoder, Item(text="a red boat"), k=4)
    assert ids(found) == [key_of(hit.id) for hit in wanted.hits]
    assert [hit["score"] for hit in found["hits"]] == pytest.approx(
        [hit.score for hit in wanted.hits], abs=1e-4
    )
    assert found["ranking"] == wanted.ranking == "per-modality"
    assert "interleaved" in found["how"]


def test_raw_is_plain_cosine(client: httpx2.Client) -> None:
    found = ask(client, text="a red boat", raw=True)
    scores = [hit["score"] for hit in found["hits"]]
    assert found["ranking"] == "cosine"
    assert scores == sorted(scores, reverse=True)


def test_a_picture_finds_itself_as_data_and_as_a_file(client: httpx2.Client, media: Path) -> None:
    picture = media / "p2.png"
    by_data = ask(client, image=data_uri(picture), only="image", k=2)
    answer = client.post(
        "/v1/search", files={"image": picture.read_bytes()}, data={"only": "image", "k": "2"}
    )
    assert by_data["hits"][0]["path"] == str(picture)
    assert by_data["hits"][0]["score"] == pytest.approx(1, abs=1e-4)
    assert ids(answer.json()) == ids(by_data)


def test_a_clip_and_words_make_one_query(client: httpx2.Client, media: Path) -> None:
    clip = media / "clip.mp4"
    alone = ask(client, video=data_uri(clip, "video/mp4"), only="video")
    assert alone["hits"][0]["score"] == pytest.approx(1, abs=1e-4)
    assert alone["hits"][0]["kind"] == "video"
    both = ask(client, video=data_uri(clip, "video/mp4"), text="at night", only="video")
    assert both["hits"][0]["score"] < 0.9999


def test_more_like_this_leaves_the_item_itself_out(client: httpx2.Client) -> None:
    first = ask(client, text="a red boat")["hits"][0]["id"]
    found = ask(client, like=first)
    assert first not in ids(found)
    assert len(found["hits"]) == 5


def paged(client: httpx2.Client, **query: Any) -> list[Any]:
    """The answer in pages of two."""
    pages = [ask(client, **query, k=2)]
    while (cursor := pages[-1]["cursor"]) is not None:
        pages.append(ask(client, cursor=cursor, k=2))
    return pages


QUERIES: list[dict[str, Any]] = [
    {"text": "the sea"},
    {"text": "find the clip where the sea is"},
    {"text": "the sea", "raw": True},
    {"text": "the sea", "only": ["image", "text"], "where": "-path:*p1*"},
    {"text": "the sea", "all_segments": True},
]


@pytest.mark.parametrize("query", QUERIES)
def test_pages_join_to_the_whole(client: httpx2.Client, query: dict[str, Any]) -> None:
    whole = ask(client, **query, k=50)
    assert whole["cursor"] is None
    pages = paged(client, **query)
    assert len(pages) > 1
    assert [name for page in pages for name in ids(page)] == ids(whole)
    assert {page["ranking"] for page in pages[:-1]} == {whole["ranking"]}


def test_pages_of_what_resembles_an_item_leave_it_out(client: httpx2.Client) -> None:
    one = ask(client, text="the sea")["hits"][0]["id"]
    joined = [name for page in paged(client, like=one) for name in ids(page)]
    assert joined == ids(ask(client, like=one, k=50))
    assert one not in joined


def test_the_words_say_what_is_wanted(client: httpx2.Client) -> None:
    found = ask(client, text="find the clip where the sea is")
    assert found["ranking"] == "intent"
    assert found["hits"][0]["modality"] == "video"
    assert found["shares"].keys() == {hit["modality"] for hit in found["hits"]}


def test_a_vector_is_ranked_without_words(client: httpx2.Client) -> None:
    vector = client.post("/v1/embeddings", json={"input": "find the clip"}).json()
    found = ask(client, embedding=vector["data"][0]["embedding"])
    assert found["ranking"] == "per-modality"


def forged(cursor: str, **change: Any) -> str:
    """A cursor with other contents."""
    row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps({**row, **change}).encode()).decode().rstrip("=")


@pytest.mark.parametrize("change", [{}, {"k": 3, "text": "a"}, {"only": "image"}, {"raw": True}])
def test_a_cursor_that_is_none_or_not_alone_is_refused(
    client: httpx2.Client, change: dict[str, Any]
) -> None:
    cursor = ask(client, text="a", k=1)["cursor"]
    body = {"cursor": cursor, **change} if change else {"cursor": cursor[:-8]}
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == (422 if change else 400), answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"shares": {"smell": 1.0}},
        {"shares": {}},
        {"shares": {"image": 0}},
        {"shares": {"image": "NaN"}},
        {"offset": -1},
        {"offset": "x"},
        {"vector": "AAAA"},
        {"vector": 7},
        {"where": "(path:x"},
        {"only": ["smell"]},
        {"ranking": "luck"},
        {"more": 1},
    ],
)
def test_a_forged_cursor_is_refused(client: httpx2.Client, change: dict[str, Any]) -> None:
    cursor = ask(client, text="a", k=1)["cursor"]
    answer = client.post("/v1/search", json={"cursor": forged(cursor, **change)})
    assert answer.status_code in (400, 422), answer.text


def test_a_cursor_reaches_no_deeper_than_a_search(
    library: Library, encoder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths: list[int] = []
    real = library.store.search

    def counted(vector: Vector, k: int, *where: Filter) -> list[Found]:
        depths.append(k)
        return real(vector, k, *where)

    monkeypatch.setattr(library.store, "search", counted)
    app = create_app(library, encoder, Settings(max_hits=3))
    with running(app) as server, server.client() as client:
        cursor = ask(client, text="a", k=1)["cursor"]
        last = ask(client, cursor=forged(cursor, offset=2), k=9)
        assert (len(last["hits"]), last["cursor"]) == (1, None)
        for offset in (3, 4, 10**9, 10**30):
            answer = client.post("/v1/search", json={"cursor": forged(cursor, offset=offset)})
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["param"] == "cursor"
    assert max(depths) < 100


def test_a_search_ends_at_its_depth(library: Library, encoder: Embedder) -> None:
    app = create_app(library, encoder, Settings(max_hits=3))
    with running(app) as server, server.client() as client:
        whole = ask(client, text="the sea", k=50)
        assert len(whole["hits"]) == 3
        assert whole["cursor"] is None
        assert [len(page["hits"]) for page in paged(client, text="the sea")] == [2, 1]


def test_filters_admit_labels_and_paths(client: httpx2.Client) -> None:
    found = ask(client, text="x", only=["video", "text"])
    assert {hit["modality"] for hit in found["hits"]} == {"video", "text"}
    assert [hit["name"] for hit in ask(client, text="x", where="path:*/p1.png")["hits"]] == [
        "p1.png"
    ]
    assert ask(client, text="x", where="path:*/none")["hits"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": "a", "like": "b"}, 422),
        ({"text": "a", "k": 0}, 422),
        ({"text": "a", "k": 10**9}, 422),
        ({"text": "a", "offset": 9}, 422),
        ({"cursor": ""}, 400),
        ({"cursor": "bm9uZQ"}, 400),
        ({"cursor": "é"}, 400),
        ({"text": "a", "only": "smell"}, 422),
        ({"text": "a", "wher": "x"}, 422),
        ({"text": "a", "where": "(path:x"}, 422),
        ({"image": "/etc/passwd"}, 400),
        ({"image": "data:image/png;base64,AAAA"}, 400),
        ({"text": "word " * 3000}, 400),
        ({"like": "bm9uZQ"}, 404),
        ({"like": "é"}, 404),
        ({"embedding": [0.0]}, 400),
    ],
)
def test_refusals(client: httpx2.Client, body: dict[str, Any], status: int) -> None:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_without_a_library_there_is_nothing_to_search() -> None:
    with gated() as (server, _), server.client() as client:
        assert client.post("/v1/search", json={"text": "a"}).status_code == 404
        assert client.get("/v1/library").json()["error"]["code"] == "no_library"


@pytest.mark.parametrize("mixed", [False, True])
def test_an_empty_library_answers_with_nothing(tmp_path: Path, mixed: bool) -> None:
    encoder = Gated()
    library = Library.create(
        tmp_path, model_id=encoder.model_id, model="gated", dim=encoder.dim, mixed_gallery=mixed
    )
    with running(create_app(library, encoder)) as server, server.client() as client:
        assert ask(client, text="a")["hits"] == []
        assert client.get("/v1/library").json()["count"] == 0


def test_another_models_library_is_refused(library: Library) -> None:
    with pytest.raises(LibraryError, match="was made with model"):
        create_app(library, Gated())


def test_damaged_vectors_are_the_servers_fault(
    tmp_path: Path, encoder: Embedder, media: Path
) -> None:
    path = tmp_path / "lib"
    made = Library.create(path, model_id=encoder.model_id, model="tiny", dim=encoder.dim)
    assert not ingest(made, sorted(media.glob("p*.png")), encoder).failed
    for file in path.rglob("data/*.lance"):
        file.write_bytes(file.read_bytes()[:30])
    with running(create_app(Library.open(path), encoder)) as server, server.client() as client:
        answer = client.post("/v1/search", json={"text": "a red boat"})
    assert answer.status_code == 503
    assert "damaged" in answer.json()["error"]["message"]


def test_a_library_made_anew_is_not_searched(
    tmp_path: Path, encoder: Embedder, media: Path
) -> None:
    path = tmp_path / "lib"
    made = Library.create(path, model_id=encoder.model_id, model="tiny", dim=encoder.dim)
    assert not ingest(made, sorted(media.glob("p*.png")), encoder).failed
    with running(create_app(made, encoder)) as server, server.client() as client:
        ask(client, text="a red boat")
        sound = (path / FACTS).read_text()
        write_text(path / FACTS, sound.replace(encoder.model_id, "another"))
        answer = client.post("/v1/search", json={"text": "a red boat"})
        assert answer.status_code == 503
        assert "Start unite serve again" in answer.json()["error"]["message"]
        assert client.get("/v1/library").status_code == 503
        write_text(path / FACTS, sound.replace(made.facts.table, "another"))  # by the same model
        assert client.get("/v1/library").status_code == 503
        write_text(path / FACTS, sound)
        ask(client, text="a red boat")


def test_modalities_may_be_sent_one_by_one_in_a_form(client: httpx2.Client, media: Path) -> None:
    files = {"image": (media / "p2.png").read_bytes()}
    for only in (["image", "text"], "image,text"):
        answer = client.post("/v1/search", files=files, data={"only": only, "k": "20"})
        assert set(answer.json()["shares"]) == {"image", "text"}
    answer = client.post("/v1/search", files=files, data={"image": "data:image/png;base64,AA"})
    assert answer.status_code == 422
    assert "a file and a field" in answer.json()["error"]["message"]


@pytest.mark.parametrize("more", [{"like": "x"}, {"embedding": "AAAA"}])
def test_an_instruction_is_for_what_is_embedded(
    client: httpx2.Client, more: dict[str, str]
) -> None:
    answer = client.post("/v1/search", json={**more, "instruction": "Find it."})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "instruction"
