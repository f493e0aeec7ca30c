"""Ask a library: a query of any kind, answered by records of any kind, ranked fairly together.

What a search wants to find decides a mixed gallery more than scores do (benchmarks/ranking.md), so
a ranking is chosen in this order: what the query's words name, what a learnt router guesses, and
where neither knows, cosine for a model whose cosines compare across modalities, else even lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

from unite.library.folding import Folded, contents_of, file_of, fold, joined
from unite.library.fusion import blended, even, favouring, fuse
from unite.library.intent import named
from unite.library.library import Library
from unite.library.router import find_router
from unite.library.terms import Asked, Term, ask
from unite.stores.filters import EVERYTHING, Filter, HasModality
from unite.stores.protocol import Found, Store
from unite.types import Encoder, Hit, Item, Vector

Ranking = Literal["cosine", "per-modality", "intent", "router"]

HOW: dict[Ranking, str] = {
    "cosine": "ranked by cosine",
    "per-modality": "ranked within each modality, then interleaved: this model's cosines do not"
    " compare across modalities",
    "intent": "ranked within each modality; most places go to the one that the words name",
    "router": "ranked within each modality; places go by what such queries usually want",
}

NAMED = 0.9
"""Share of the places for a modality that the query's words name."""

TRUSTED = 0.6
"""Share of the places that go as the router guesses; the others go evenly, because it may be asked
what it was never fitted on."""

RESCORED = 1000
"""Nearest records that `exact` scores again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is ranked; its further pages are ranked by the same plan.

    Attributes:
        ranking: On what ground.
        shares: Each modality's share of the places; one list under the empty label is plain cosine.
    """

    ranking: Ranking
    shares: Mapping[str, float]


ALONE = Plan("cosine", {"": 1.0})


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a query.

    Attributes:
        plan: How it was ranked, to go on in the same way.
        ranking: How the hits are ordered; `HOW` says it in words.
        found: Records with their cosines, best first.
        folded: The same with what each stands for, where parts and copies are folded.
        more: Whether further hits follow.
    """

    plan: Plan
    ranking: Ranking
    found: list[Found]
    folded: list[Folded] = field(default_factory=list)
    more: bool = False

    @property
    def hits(self) -> list[Hit]:
        """The hits without what only a display needs."""
        return [found.hit for found in self.found]

    @property
    def shares(self) -> dict[str, float]:
        """Each modality's share of the hits, largest first."""
        counts = Counter(found.record.modality for found in self.found)
        return {label: count / len(self.found) for label, count in counts.most_common()}


def search(
    library: Library,
    encoder: Encoder,
    query: Item | Sequence[Term],
    *,
    k: int = 10,
    where: Filter = EVERYTHING,
    ranking: Ranking | None = None,
    offset: int = 0,
    folded: bool = False,
    exact: bool = False,
) -> SearchResult:
    """Embed a query and find what lies nearest.

    Args:
        library: The library.
        encoder: The library's model.
        query: Text, image, video, or several fused; or a weighted sum of such.
        k: Number of hits.
        where: What may be found.
        ranking: By default what suits the query and the model, see `search_vector`.
        offset: Hits to pass over: those of the pages before.
        folded: Show one hit per file, and equal files as one.
        exact: Score the nearest again in full precision.

    Raises:
        LibraryError: The model is not the library's, or the library is empty.
        ItemError: The query cannot be embedded.
    """
    library.check(encoder.model_id, encoder.dim)
    library.check_filled()
    asked = ask(library, encoder, [Term(query)] if isinstance(query, Item) else query)
    return search_vector(
        library, asked, k=k, where=where, ranking=ranking, offset=offset, folded=folded, exact=exact
    )


def search_vector(
    library: Library,
    asked: Asked | Vector,
    *,
    k: int = 10,
    where: Filter = EVERYTHING,
    ranking: Ranking | Plan | None = None,
    offset: int = 0,
    folded: bool = False,
    exact: bool = False,
) -> SearchResult:
    """Find what lies nearest to a vector.

    A model trained with the modality mask of MAMCL never compared candidates of different
    modalities (paper section 3.3), so their cosines are not on one scale. Where one modality alone
    can be found, all rankings are the same and it is called cosine.

    Args:
        library: The library.
        asked: A vector, shape (D,), unit length; with its query, the query's words count too.
        k: Number of hits.
        where: What may be found.
        ranking: Overrides the default; what the query gives no ground for is per-modality. A plan
            of an answer before is followed.
        offset: Hits to pass over: those of the pages before.
        folded: Show one hit per file, and equal files as one.
        exact: Score the nearest again in full precision.
    """
    asked = asked if isinstance(asked, Asked) else Asked(asked)
    look = _Look(library.store, asked, where, exact)
    plan = ranking if isinstance(ranking, Plan) else _plan(library, asked.item, ranking)
    hits, lists = _fused(look, plan.shares, offset + k + 1, folded=folded)
    shown = hits[offset : offset + k]
    found = [hit.found for hit in shown]
    return SearchResult(
        plan,
        plan.ranking if lists > 1 else "cosine",
        found,
        shown if folded else [],
        more=len(hits) > offset + k,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """The nearest records of a modality, or of all under the empty label."""

    store: Store
    asked: Asked
    where: Filter
    exact: bool

    def __call__(self, label: str, depth: int) -> tuple[list[Found], bool]:
        """Up to `depth` of them, and whether there are no more."""
        where = self.where & HasModality(label) if label else self.where
        if self.exact:
            found = _rescored(self.store, self.asked.vector, where, depth)
        else:
            found = self.store.search(self.asked.vector, depth, where)
        return self._new(found), len(found) < depth

    def _new(self, found: list[Found]) -> list[Found]:
        """Without what the query was asked with: the record or its file, and its copies."""
        files = {file_of(record) for record in self.asked.liked}
        contents = {contents_of(record) for record in self.asked.liked} - {None}
        return [
            one
            for one in found
            if file_of(one.record) not in files and contents_of(one.record) not in contents
        ]


def _plan(library: Library, item: Item | None, ranking: Ranking | None) -> Plan:
    """How to rank what is asked."""
    if ranking == "cosine":
        return ALONE
    labels = [*library.store.modalities()]
    ways: dict[Ranking, Callable[[], Mapping[str, float] | None]] = {
        "intent": lambda: _by_words(item, labels),
        "router": lambda: _by_router(library, item, labels),
    }
    for how, shares in ways.items():
        if ranking in (None, how) and (found := shares()) is not None:
            return Plan(how, found)
    if (ranking is None and library.facts.mixed_gallery) or not labels:
        return ALONE
    return Plan("per-modality", even(labels))


def _by_words(item: Item | None, labels: Sequence[str]) -> dict[str, float] | None:
    wanted = None if item is None else named(item)
    return None if wanted is None else favouring(wanted, labels, NAMED)


def _by_router(
    library: Library, item: Item | None, labels: Sequence[str]
) -> dict[str, float] | None:
    if item is None:
        return None
    router = find_router([library.path, model_folder(library.facts.model)])
    guess = None if router is None else router.shares(item, labels)
    return None if guess is None else blended(guess, TRUSTED)


def model_folder(model: str) -> Path:
    """Where a model's own router lies; for a name on the hub there is none."""
    return Path(str(files("unite").joinpath(model))) if model == "mini" else Path(model)


def _fused(
    look: _Look, shares: Mapping[str, float], needed: int, *, folded: bool
) -> tuple[list[Folded], int]:
    """At least so many hits, or all there are; and how many lists they come from."""
    depth = needed
    while True:
        looks = {label: look(label, depth) for label in shares}
        lists = {label: _folded(found, folded=folded) for label, (found, _) in looks.items()}
        ended = {label: end for label, (_, end) in looks.items()}
        hits = _merged(lists, shares, folded=folded)
        full = all(ended[label] or len(lists[label]) >= needed for label in shares)
        if all(ended.values()) or (full and len(hits) >= needed):
            return hits, sum(1 for found in lists.values() if found)
        depth *= 4


def _merged(
    lists: Mapping[str, list[Folded]], shares: Mapping[str, float], *, folded: bool
) -> list[Folded]:
    """One list; a file that is in two of them, as a picture and captioned, stays once."""
    known = {hit.found.record.id: hit for hits in lists.values() for hit in hits}
    found = fuse({label: [hit.found for hit in hits] for label, hits in lists.items()}, shares)
    hits = [known[one.record.id] for one in found]
    return joined(hits) if folded else hits


def _folded(found: list[Found], *, folded: bool) -> list[Folded]:
    return fold(found) if folded else [Folded(one) for one in found]


def _rescored(store: Store, vector: Vector, where: Filter, depth: int) -> list[Found]:
    """The nearest, the first of them in the order of cosines taken in double precision.

    How many are scored again does not depend on the depth, so that pages neither repeat nor skip.
    """
    found = store.search(vector, max(depth, RESCORED), where)
    rows = {row.record.id: row for row in store.get([one.record.id for one in found[:RESCORED]])}
    query = vector.astype(np.float64)
    near = [
        Found(one.record, float(query @ rows[one.record.id].vector))
        for one in found[:RESCORED]
        if one.record.id in rows
    ]
    near.sort(key=lambda one: (-one.score, one.record.id))
    return [*near, *found[RESCORED:]][:depth]
