"""Which items of a corpus mean what a pair asks for, and so are no negatives of it.

Content ids follow the loss: an item stands for its `candidate_id` and for its
`candidate_also_id`, a pair asks for its `candidate_id` alone. A picture that shares only the
coarse meaning of a fine pair's positive is therefore a negative, and the hardest kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from unite.data.records import canonical, content_id
from unite.types import Item, Pair

Rows = npt.NDArray[np.int64]


class Meanings:
    """What pairs say about the meaning of a corpus.

    Args:
        pairs: All there are, also those that are not mined for: each tells of positives.
        corpus: The items that may become negatives.
    """

    def __init__(self, pairs: Sequence[Pair], corpus: Sequence[Item]) -> None:
        self._ids = _ids_by_parts(pairs)
        self._asked_by_id: defaultdict[str, set[str]] = defaultdict(set)
        self._asked_by_parts: defaultdict[str, set[str]] = defaultdict(set)
        self._asking: defaultdict[str, set[str]] = defaultdict(set)
        for pair in pairs:
            query = _shown(pair.query)
            self._asked_by_id[pair.query_id].add(pair.candidate_id)
            self._asked_by_parts[query].add(pair.candidate_id)
            self._asking[pair.candidate_id].add(query)
        self._rows_by_id: defaultdict[str, list[int]] = defaultdict(list)
        self._rows_by_parts: defaultdict[str, list[int]] = defaultdict(list)
        for row, item in enumerate(corpus):
            parts = _shown(item)
            self._rows_by_parts[parts].append(row)
            for name in self._ids.get(parts, ()):
                self._rows_by_id[name].append(row)

    def ids_of(self, item: Item) -> tuple[str, str]:
        """The content id of an item and its other one; twice the same where it has one.

        Where different sources give it more than two, the two that were read first.
        """
        names = list(self._ids.get(_shown(item), ())) or [content_id(canonical(item))]
        return names[0], names[min(1, len(names) - 1)]

    def barred(self, pair: Pair) -> Rows:
        """Rows of the corpus that may not be negatives of a pair.

        They are the positives of its query id and of queries of equal content, all that means
        the same as one of them, the query itself and what asks for it elsewhere (a picture that
        asks for one of its captions is what the others ask for), and the negatives that the
        pair has.
        """
        query = _shown(pair.query)
        asked = self._asked_by_id[pair.query_id] | self._asked_by_parts[query]
        rows = [row for name in asked for row in self._rows_by_id.get(name, ())]
        known_as = (pair.query_id, *self._ids.get(query, ()))
        asking = (parts for name in known_as for parts in self._asking.get(name, ()))
        for parts in (query, *asking, *map(_shown, pair.negatives)):
            rows += self._rows_by_parts.get(parts, ())
        return np.unique(np.array(rows, np.int64))


def _ids_by_parts(pairs: Sequence[Pair]) -> dict[str, dict[str, None]]:
    """The content ids that pairs give an item, in the order in which they are read."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for pair in pairs:
        also = pair.candidate_also_id
        found[_shown(pair.candidate)] |= dict.fromkeys(
            (pair.candidate_id,) if also is None else (pair.candidate_id, also)
        )
        others = pair.negative_also_ids or pair.negative_ids
        for item, *names in zip(pair.negatives, pair.negative_ids, others, strict=True):
            found[_shown(item)] |= dict.fromkeys(names)
    return dict(found)


def _shown(item: Item) -> str:
    """A name for what an item shows, whatever is asked of it."""
    return content_id(canonical(replace(item, instruction=None)))
