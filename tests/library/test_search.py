from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unite.errors import ItemError, LibraryError
from unite.library.ingest import ingest
from unite.library.library import Library, LibraryFacts
from unite.library.search import HOW, interleave, search, search_vector
from unite.stores.exact import ExactStore
from unite.stores.filters import AnyOf, HasModality, PathMatches
from unite.stores.protocol import Found, Record, Row
from unite.types import Item

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
    assert set(HOW) == {"cosine", "per-modality"}


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


def test_interleaving_breaks_ties_by_score_then_id() -> None:
    lists = [
        [Found(record("b", "image"), 0.5), Found(record("d", "image"), 0.1)],
        [Found(record("a", "video"), 0.5)],
        [Found(record("c", "text"), 0.9)],
    ]
    assert [found.record.id for found in interleave(lists)] == ["c", "a", "b", "d"]
    assert interleave([]) == interleave([[], []]) == []
    assert interleave(lists[::-1]) == interleave(lists)


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
