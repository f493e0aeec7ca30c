"""Ask a library: a query of any kind, answered by records of any kind, ranked fairly together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unite.errors import ItemError
from unite.library.library import Library
from unite.stores.filters import EVERYTHING, Filter, HasModality
from unite.stores.protocol import Found
from unite.types import Encoder, Hit, Item, Vector

Ranking = Literal["cosine", "per-modality"]

HOW: dict[Ranking, str] = {
    "cosine": "ranked by cosine",
    "per-modality": "ranked within each modality, then interleaved: this model's cosines do not"
    " compare across modalities",
}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a query.

    Attributes:
        ranking: How the hits are ordered: by cosine, or interleaved from one list per modality.
        found: Records with their cosines, best first.
    """

    ranking: Ranking
    found: list[Found]

    @property
    def hits(self) -> list[Hit]:
        """The hits without what only a display needs."""
        return [found.hit for found in self.found]


def search(
    library: Library,
    encoder: Encoder,
    query: Item,
    *,
    k: int = 10,
    where: Filter = EVERYTHING,
    ranking: Ranking | None = None,
) -> SearchResult:
    """Embed a query and find what lies nearest.

    Args:
        library: The library.
        encoder: The library's model.
        query: Text, image, video, or several fused.
        k: Number of hits.
        where: What may be found.
        ranking: By default what the library's model needs, see `search_vector`.

    Raises:
        LibraryError: The model is not the library's, or the library is empty.
        ItemError: The query cannot be embedded.
    """
    library.check(encoder.model_id, encoder.dim)
    library.check_filled()
    result = next(iter(encoder.embed([query])))
    if result.vector is None:
        raise ItemError(f"The query cannot be embedded: {result.error}")
    return search_vector(library, result.vector, k=k, where=where, ranking=ranking)


def search_vector(
    library: Library,
    vector: Vector,
    *,
    k: int = 10,
    where: Filter = EVERYTHING,
    ranking: Ranking | None = None,
) -> SearchResult:
    """Find what lies nearest to a vector, shape (D,), unit length.

    A model trained with the modality mask of MAMCL never compared candidates of different
    modalities (paper section 3.3), so their cosines are not on one scale. Unless the library
    says that its model's are, hits are ranked within each modality and the lists interleaved.
    Where one modality alone can be found, both rankings are the same and it is called cosine.

    Args:
        library: The library.
        vector: The query.
        k: Number of hits.
        where: What may be found.
        ranking: Overrides the default.
    """
    wanted = ranking or ("cosine" if library.facts.mixed_gallery else "per-modality")
    if wanted == "cosine":
        return SearchResult("cosine", library.store.search(vector, k, where))
    labels = library.store.stats().modalities
    lists = [library.store.search(vector, k, where & HasModality(label)) for label in labels]
    lists = [found for found in lists if found]
    if len(lists) < 2:
        return SearchResult("cosine", lists[0] if lists else [])
    return SearchResult("per-modality", interleave(lists)[:k])


def interleave(lists: Sequence[Sequence[Found]]) -> list[Found]:
    """Merge ranked lists that share no record: the first of each, the second of each, and so on.

    Reciprocal-rank fusion of disjoint lists gives the same order. Equal ranks stand in the order
    of their cosines, equal cosines in the order of their ids.

    Args:
        lists: One list per modality, best first.
    """
    ranked = [(rank, found) for hits in lists for rank, found in enumerate(hits)]
    ranked.sort(key=lambda pair: (pair[0], -pair[1].score, pair[1].record.id))
    return [found for _, found in ranked]
