from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from unite.errors import ItemError, LibraryError
from unite.library.ingest import ingest
from unite.library.library import Library, LibraryFacts
from unite.library.router import FILE, fit
from unite.library.search import HOW, Ranking, search, search_vector
from unite.library.terms import Asked, Term
from unite.stores.exact import ExactStore
from unite.stores.filters import EVERYTHING, AnyOf, Filter, HasModality, PathMatches
from unite.stores.protocol import Found, Record, Row
from unite.types import Item, Modality, Vector

from .conftest import new_library
from .fakes import FakeEncoder


def record(name: str, modality: str) -> Record:
    return Record(
        id=name, path=f"/{name}", source=f"/{name}", digest=name, modality=modality, size=1,
        mtime_ns=1,
    )  # fmt: skip


def gallery(*, mixed: bool) -> Library:
    """Images all score above videos, videos above texts, as under a modality gap."""
    store = ExactStore(2)
    angles = {"image": (0.1, 0.2, 0.3), "video": (0.8, 0.9), "text": (1.3,)}
    store.upsert(
        [
            Row(record(f"{label}{n}", label), np.array([np.cos(angle), np.sin(angle)], np.float32))
            for label, row in angles.items()
            for n, angle in enumerate(row)
        ]
    )
    facts = LibraryFacts(model_id="m", model="m", dim=2, mixed_gallery=mixed)
    return Library(Path("/nowhere"), facts, store)


QUERY = np.array([1, 0], np.float32)
BY_COSINE = ["image0", "image1", "image2", "video0", "video1", "text0"]
INTERLEAVED = ["image0", "video0", "text0", "image1", "video1", "image2"]


def ids(library: Library, **how: object) -> list[str]:
    return [hit.id for hit in search_vector(library, QUERY, **how).hits]  # type: ignore[arg-type]


def test_the_model_decides_the_ranking_unless_told() -> None:
    mixed, masked = gallery(mixed=True), gallery(mixed=False)
    assert ids(mixed) == ids(masked, ranking="cosine") == BY_COSINE
    assert ids(masked) == ids(mixed, ranking="per-modality") == INTERLEAVED
    assert search_vector(mixed, QUERY).ranking == "cosine"
    assert search_vector(masked, QUERY).ranking == "per-modality"
    assert set(HOW) == set(get_args(Ranking))


def test_k_cuts_the_merged_list() -> None:
    for k in range(8):
        assert ids(gallery(mixed=False), k=k) == INTERLEAVED[:k]
        assert ids(gallery(mixed=True), k=k) == BY_COSINE[:k]


def test_scores_stay_cosines_whatever_the_ranking() -> None:
    for hit in search_vector(gallery(mixed=False), QUERY).hits:
        angle = {"image0": 0.1, "video0": 0.8, "text0": 1.3}.get(hit.id)
        if angle:
            assert hit.score == pytest.approx(np.cos(angle), abs=1e-6)


def test_one_modality_is_ranked_by_cosine() -> None:
    result = search_vector(gallery(mixed=False), QUERY, where=HasModality("image"))
    assert result.ranking == "cosine"
    assert [hit.id for hit in result.hits] == BY_COSINE[:3]


def test_filters_reach_every_list() -> None:
    assert ids(gallery(mixed=False), where=AnyOf((HasModality("image"), HasModality("video")))) == [
        "image0", "video0", "image1", "video1", "image2",
    ]  # fmt: skip
    assert ids(gallery(mixed=False), where=PathMatches("*1")) == ["image1", "video1"]
    assert ids(gallery(mixed=False), where=HasModality("audio")) == []


def test_a_file_finds_itself(library: Library, encoder: FakeEncoder, media: Path) -> None:
    ingest(library, [media], encoder)
    result = search(library, encoder, Item(images=(str(media / "a.png"),)), ranking="cosine")
    assert result.hits[0].path == str(media / "a.png")
    assert result.hits[0].score == pytest.approx(1.0, abs=1e-6)
    assert len(result.hits) == 5
    text = search(library, encoder, Item(text="p" * 700), where=HasModality("text"))
    assert text.found[0].record.text == "p" * 700


def test_both_rankings_hold_the_same_hits(
    library: Library, encoder: FakeEncoder, media: Path
) -> None:
    ingest(library, [media], encoder)
    found = [
        {hit.id for hit in search(library, encoder, Item(text="x"), ranking=how).hits}
        for how in ("cosine", "per-modality")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_errors_name_their_cause(library: Library, encoder: FakeEncoder, media: Path) -> None:
    with pytest.raises(LibraryError, match="is empty"):
        search(library, encoder, Item(text="x"))
    ingest(library, [media], encoder)
    with pytest.raises(ItemError, match=r"query cannot be embedded: cannot be decoded"):
        search(library, encoder, Item(text="broken"))
    with pytest.raises(LibraryError, match="id-of-other"):
        search(library, FakeEncoder("id-of-other"), Item(text="x"))


def test_the_default_is_remembered_on_disk(
    tmp_path: Path, media: Path, encoder: FakeEncoder
) -> None:
    for mixed, ranking in ((True, "cosine"), (False, "per-modality")):
        path = new_library(tmp_path / str(mixed), mixed_gallery=mixed).path
        ingest(Library.open(path), [media], encoder)
        assert search(Library.open(path), encoder, Item(text="x")).ranking == ranking


def asked(words: str) -> Asked:
    return Asked(QUERY, Item(text=words))


def found(library: Library, query: Asked, **how: object) -> list[str]:
    return [hit.id for hit in search_vector(library, query, **how).hits]  # type: ignore[arg-type]


def test_what_the_words_name_comes_first_whatever_the_model() -> None:
    for mixed in (True, False):
        library = gallery(mixed=mixed)
        result = search_vector(library, asked("find the clip where it rains"))
        assert result.ranking == "intent"
        assert [hit.id for hit in result.hits][:2] == ["video0", "video1"]
        assert len(result.hits) == 6
        assert search_vector(library, asked("rain")).ranking == (
            "cosine" if mixed else "per-modality"
        )
        assert found(library, asked("find the clip where it rains"), ranking="cosine") == BY_COSINE


def test_words_that_name_what_is_not_held_change_nothing() -> None:
    library = gallery(mixed=False)
    library.store.delete(["video0", "video1"])
    assert search_vector(library, asked("clips of rain")).ranking == "per-modality"


def test_a_router_speaks_where_words_name_nothing(tmp_path: Path) -> None:
    library = gallery(mixed=True)
    library.path = tmp_path
    router = fit(
        [Item(text="it rains")] * 9 + [Item(text="it stands")] * 9,
        [Modality.VIDEO] * 9 + [Modality.TEXT] * 9,
    )
    router.save(tmp_path / FILE)
    result = search_vector(library, asked("what rains"))
    assert result.ranking == "router"
    assert result.hits[0].id == "video0"
    assert search_vector(library, asked("what stands")).hits[0].id == "text0"
    assert search_vector(library, asked("a picture of rain")).ranking == "intent"
    assert search_vector(library, QUERY).ranking == "cosine"


def test_shares_tell_what_was_found() -> None:
    assert search_vector(gallery(mixed=False), QUERY, k=4).shares == {
        "image": 0.5, "video": 0.25, "text": 0.25,
    }  # fmt: skip
    assert search_vector(gallery(mixed=False), QUERY, k=0).shares == {}


@pytest.mark.parametrize("ranking", get_args(Ranking))
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("folded", [False, True])
def test_pages_are_the_whole_list_cut(ranking: Ranking, exact: bool, folded: bool) -> None:
    library, query = many(), asked("a picture of it")
    how = {"ranking": ranking, "exact": exact, "folded": folded}
    whole = found(library, query, k=1000, **how)
    assert len(set(whole)) == len(whole) == (26 if folded else 60)
    for size in (1, 7):
        paged: list[str] = []
        while True:
            page = search_vector(library, query, k=size, offset=len(paged), **how)  # type: ignore[arg-type]
            paged += [hit.id for hit in page.hits]
            assert page.more == (len(paged) < len(whole))
            if not page.more:
                break
        assert paged == whole
    assert found(library, query, k=5, offset=1000, **how) == []


def many() -> Library:
    """Twelve pictures of which each has a copy, twelve notes, and two clips of twelve parts."""
    rng = np.random.default_rng(3)
    rows = []
    for n in range(12):
        vector = unit(rng)
        rows += [row(f"p{n}", "image", vector), row(f"copy{n}", "image", vector, digest=f"p{n}")]
        rows.append(row(f"n{n}", "text", unit(rng)))
        rows += [row(f"{clip}#{n}", "video", unit(rng), source=clip) for clip in ("v", "w")]
    store = ExactStore(2)
    store.upsert(rows)
    facts = LibraryFacts(model_id="m", model="m", dim=2, mixed_gallery=False)
    return Library(Path("/nowhere"), facts, store)


def unit(rng: np.random.Generator) -> Vector:
    vector = rng.normal(size=2).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def row(name: str, label: str, vector: Vector, source: str = "", digest: str = "") -> Row:
    plain = record(name, label)
    return Row(replace(plain, source=source or plain.source, digest=digest or name), vector)


def test_one_hit_for_each_file_with_what_it_stands_for() -> None:
    result = search_vector(many(), QUERY, k=100, folded=True, ranking="cosine")
    folded = {hit.found.record.id: hit for hit in result.folded}
    assert [hit.found for hit in result.folded] == result.found
    clips = [hit for hit in result.folded if hit.found.record.modality == "video"]
    assert [hit.segments for hit in clips] == [11, 11]
    pictures = [hit for hit in result.folded if hit.found.record.modality == "image"]
    assert len(pictures) == 12
    assert all(len(hit.copies) == 1 for hit in pictures)
    assert len(folded) == 26


def test_what_a_query_was_asked_with_is_no_answer() -> None:
    library = many()
    (like,) = library.store.get(["p3"])
    names = found(library, Asked(like.vector, liked=(like.record,)), k=100)
    assert not {"p3", "copy3"} & set(names)
    assert len(names) == 58
    (part,) = library.store.get(["v#4"])
    names = found(library, Asked(part.vector, liked=(part.record,)), k=100)
    assert len(names) == 48
    assert not any(name.startswith("v#") for name in names)


def test_a_letter_that_shares_a_passage_with_what_was_liked_is_an_answer() -> None:
    def passage(file: str, number: int, digest: str) -> Row:
        vector = np.array([np.cos(number), np.sin(number)], np.float32)
        one = record(f"{file}#{number}", "text")
        return Row(
            replace(one, source=file, path=file, digest=digest, parts=2, meta={"file": file[1:]}),
            vector,
        )

    store = ExactStore(2)
    store.upsert([
        passage("1a", 1, "x"), passage("1a", 2, "signature"), passage("2b", 1, "y"),
        passage("2b", 2, "signature"), passage("3a", 1, "x"), passage("3a", 2, "signature"),
    ])  # fmt: skip
    library = Library(
        Path("/nowhere"), LibraryFacts(model_id="m", model="m", dim=2, mixed_gallery=True), store
    )
    (liked,) = store.get(["1a#2"])
    names = found(library, Asked(liked.vector, liked=(liked.record,)), k=9)
    assert set(names) == {"2b#1", "2b#2"}  # neither the file nor its copy


class Rounding(ExactStore):
    """Answers with coarse scores, as an approximate index does."""

    def search(
        self, vector: Vector, k: int, where: Filter = EVERYTHING, offset: int = 0
    ) -> list[Found]:
        found = super().search(vector, 10_000, where)
        coarse = [Found(one.record, round(one.score, 1)) for one in found]
        coarse.sort(key=lambda one: (-one.score, one.record.id))
        return coarse[offset : offset + k]


def test_exact_puts_right_what_a_store_answers_roughly() -> None:
    library = many()
    rough = Rounding(2)
    rough.upsert(library.store.get([one.id for one in library.store.records()]))
    truth = search_vector(library, QUERY, k=60, ranking="cosine")
    library.store = rough
    coarse = search_vector(library, QUERY, k=60, ranking="cosine")
    mended = search_vector(library, QUERY, k=60, ranking="cosine", exact=True)
    assert [hit.id for hit in coarse.hits] != [hit.id for hit in truth.hits]
    assert [hit.id for hit in mended.hits] == [hit.id for hit in truth.hits]
    assert [hit.score for hit in mended.hits] == pytest.approx([hit.score for hit in truth.hits])


def test_a_sum_of_terms_is_searched_as_one(
    library: Library, encoder: FakeEncoder, media: Path
) -> None:
    ingest(library, [media], encoder)
    pictures = [str(media / "a.png"), str(media / "sub" / "b.jpg")]
    terms = [Term(Item(images=(path,))) for path in pictures]
    first = {hit.path for hit in search(library, encoder, terms, k=2, ranking="cosine").hits}
    assert first == set(pictures)
    away = [terms[0], Term(Item(images=(pictures[1],)), -1.0)]
    last = search(library, encoder, away, ranking="cosine").hits
    assert (last[0].path, last[-1].path) == (pictures[0], pictures[1])
