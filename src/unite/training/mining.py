"""Hard negatives: the candidates that a model ranks highest for a query and that do not answer it.

What scores as high as the positive is often an answer that nobody has written down. The margin
refuses it: absolute, or relative as in NV-Retriever (arXiv 2407.15831, TopK-PercPos).

Shapes: D dimensions, N corpus items, E those of one modality, B pairs of a block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from unite.data.records import content_id
from unite.stores.topk import BLOCK
from unite.training.hardest import Floats, cosine, hardest
from unite.training.meanings import Meanings
from unite.types import Embedding, Item, Modality, Pair, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which candidates become negatives of a pair.

    Attributes:
        k: At most so many, beside those that the pair has.
        margin: How far below the positive a negative scores at least (cosine).
        relative: In its place, the share of the positive's score that a negative scores at most.
        skip: The highest ranks that are passed over, the positives and the query not counted.
        any_modality: Whether a negative may be of another modality than the target.
    """

    k: int = 7
    margin: float = 0.05
    relative: float | None = None
    skip: int = 0
    any_modality: bool = False

    def limit(self, positive: float) -> float:
        """The highest score of a negative."""
        if self.relative is None:
            return positive - self.margin
        return min(positive, positive * self.relative)  # a share of less than nothing is more


@dataclass(frozen=True, slots=True)
class Mined:
    """What became of a pair.

    Attributes:
        pair: The pair with all its negatives, its own before those found.
        scores: Of the negatives found, falling.
        positive: Score of the positive.
        refused: Candidates left out because they score above the limit.
        error: Why nothing was looked for.
    """

    pair: Pair
    scores: tuple[float, ...] = ()
    positive: float = float("nan")
    refused: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found, over all pairs that were looked at.

    Attributes:
        rows: Of the pair files.
        failed: Rows that are no pair or whose media cannot be embedded.
        items_failed: Rows of the corpus file of which that is true.
        queries: Distinct queries that were looked at.
        negatives: Found.
        mean: Found for a pair.
        share_full: Share of the pairs with all that were wanted.
        share_none: Share of the pairs for which none was found.
        median_gap: By how much a negative scores below the positive.
        refused: Candidates left out as likely false negatives.
        share_refused: Share of the pairs that have such.
    """

    rows: int
    failed: int
    items_failed: int
    queries: int
    negatives: int
    mean: float | None
    share_full: float | None
    share_none: float | None
    median_gap: float | None
    refused: int
    share_refused: float | None


@dataclass(frozen=True, slots=True)
class Corpus:
    """Items that are ranked, those that answer a modality next to each other."""

    items: Sequence[Item]
    ids: Sequence[str]
    answers: Sequence[Modality]
    vector_ND: Floats

    @classmethod
    def of(
        cls, pairs: Sequence[Pair], extra: Iterable[Item], embeddings: Mapping[str, Embedding]
    ) -> Corpus:
        """The distinct candidates and further items that have a vector.

        An item answers the modality that is wanted of it, or of candidates of its parts: a picture
        with words about what to do with it may be wanted as a picture. Where pairs disagree, it
        answers what it is made of.
        """
        items = [*(pair.candidate for pair in pairs), *extra]
        named = {content_id(item): replace(item, id=None) for item in items}
        of_item: defaultdict[str, set[Modality]] = defaultdict(set)
        of_parts: defaultdict[Modality, set[Modality]] = defaultdict(set)
        for pair in pairs:
            of_item[content_id(pair.candidate)].add(pair.target_modality)
            of_parts[pair.candidate.modality].add(pair.target_modality)
        wanted = {}
        for name, item in named.items():
            known = of_item.get(name) or of_parts.get(item.modality) or {item.modality}
            wanted[name] = item.modality if len(known) > 1 else min(known)
        vectors = {name: embeddings[name].vector for name in named}
        there = {name: vector for name, vector in vectors.items() if vector is not None}
        ids = sorted(there, key=lambda name: wanted[name])
        matrix_ND = np.stack([there[name] for name in ids]) if ids else np.empty((0, 0), np.float32)
        return cls([named[name] for name in ids], ids, [wanted[name] for name in ids], matrix_ND)

    def rows_of(self, modality: Modality) -> slice:
        """Where the items that answer a modality stand."""
        rows = [row for row, answered in enumerate(self.answers) if answered == modality]
        return slice(rows[0], rows[-1] + 1) if rows else slice(0, 0)


def mine(
    pairs: Sequence[Pair],
    extra: Iterable[Item],
    embeddings: Mapping[str, Embedding],
    rule: Rule,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Mined]:
    """Find negatives for pairs among their candidates and further items.

    Args:
        pairs: What to find negatives for.
        extra: More items that may be found.
        embeddings: Of every query, candidate and further item, by content id.
        rule: What may be a negative.
        progress: Called with the number of pairs done and the whole.

    Returns:
        What became of each pair, in their order.
    """
    corpus = Corpus.of(pairs, extra, embeddings)
    meanings = Meanings(pairs, corpus.items)
    mined = [Mined(pair, error=_fault(pair, embeddings)) for pair in pairs]
    ready = [number for number, part in enumerate(mined) if part.error is None]
    done = 0
    for modality in sorted({pairs[number].target_modality for number in ready}):
        rows = slice(0, len(corpus.ids)) if rule.any_modality else corpus.rows_of(modality)
        wanted = [number for number in ready if pairs[number].target_modality == modality]
        found = _search(
            [pairs[number] for number in wanted], embeddings, corpus, rows, meanings, rule
        )
        for number, part in zip(wanted, found, strict=True):
            mined[number] = part
            done += 1
            progress(done, len(ready))
    return mined


def summarise(mined: Sequence[Mined], k: int, *, broken: int, items_failed: int) -> Summary:
    """Count what was found.

    Args:
        mined: What became of the rows that are pairs.
        k: Negatives wanted for each.
        broken: Rows that are none.
        items_failed: Items of the corpus file that were of no use.
    """
    good = [part for part in mined if part.error is None]
    gaps = [part.positive - score for part in good for score in part.scores]
    counts = [len(part.scores) for part in good]
    return Summary(
        rows=len(mined) + broken,
        failed=len(mined) - len(good) + broken,
        items_failed=items_failed,
        queries=len({content_id(part.pair.query) for part in good}),
        negatives=len(gaps),
        mean=fmean(counts) if good else None,
        share_full=fmean(count >= k for count in counts) if good else None,
        share_none=fmean(count == 0 for count in counts) if good else None,
        median_gap=median(gaps) if gaps else None,
        refused=sum(part.refused for part in good),
        share_refused=fmean(part.refused > 0 for part in good) if good else None,
    )


def _search(
    pairs: Sequence[Pair],
    embeddings: Mapping[str, Embedding],
    corpus: Corpus,
    rows: slice,
    meanings: Meanings,
    rule: Rule,
) -> Iterator[Mined]:
    """Rank some rows of the corpus for pairs, a block of pairs at a time."""
    gallery_ED, ids = corpus.vector_ND[rows], corpus.ids[rows]
    step = max(1, BLOCK // max(1, *gallery_ED.shape))
    for first in range(0, len(pairs), step):
        block = pairs[first : first + step]
        query_BD = np.stack([_vector(pair.query, embeddings) for pair in block])
        for pair, query_D, rough_E in zip(block, query_BD, query_BD @ gallery_ED.T, strict=True):
            barred = meanings.barred(pair)
            inside = (barred >= rows.start) & (barred < rows.stop)
            rough_E[barred[inside] - rows.start] = -np.inf
            positive = cosine(query_D, _vector(pair.candidate, embeddings))
            found, scores, refused = hardest(
                query_D, rough_E, gallery_ED, ids, rule.limit(positive), k=rule.k, skip=rule.skip
            )
            items = [corpus.items[rows.start + row] for row in found.tolist()]
            yield Mined(_joined(pair, items, meanings), tuple(scores.tolist()), positive, refused)


def _vector(item: Item, embeddings: Mapping[str, Embedding]) -> Vector:
    vector = embeddings[content_id(item)].vector
    assert vector is not None, "pairs without vectors were set aside"
    return vector


def _fault(pair: Pair, embeddings: Mapping[str, Embedding]) -> str | None:
    """Why a pair's query or candidate has no vector."""
    for side, item in (("query", pair.query), ("candidate", pair.candidate)):
        error = embeddings[content_id(item)].error
        if error is not None:
            return f"The {side} cannot be embedded: {error}"
    return None


def _joined(pair: Pair, items: Sequence[Item], meanings: Meanings) -> Pair:
    """The pair with further negatives and their content ids."""
    named = [meanings.ids_of(item) for item in items]
    ids = (*pair.negative_ids, *(name for name, _ in named))
    also = (*(pair.negative_also_ids or pair.negative_ids), *(other for _, other in named))
    return replace(
        pair,
        negatives=(*pair.negatives, *items),
        negative_ids=ids,
        negative_also_ids=() if also == ids else also,
    )
