"""A small learnt guess at which modality a query wants: its words and its own modalities, linear.

Fitted on training pairs, which say what modality answered each query, and kept as `router.json`
beside a model's weights or in a library. It needs no vectors, so one router serves every model
that is asked in the same words.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unite.errors import DataError, LibraryError
from unite.types import Item, Modality
from unite.whole import write_text

FILE = "router.json"
FORMAT = 1
VOCABULARY = 4096
SELDOM = 5
"""A word that stands in fewer queries is not learnt."""

_PARTS = (Modality.TEXT, Modality.IMAGE, Modality.VIDEO)


@dataclass(frozen=True, slots=True, eq=False)
class Router:
    """Guesses the modality that a query wants.

    Attributes:
        labels: Modality labels, L of them.
        words: The vocabulary, W words.
        weight_LF: A row per label; features are the query's modalities, then the words.
        bias_L: What each label has without any feature.
    """

    labels: tuple[str, ...]
    words: tuple[str, ...]
    weight_LF: npt.NDArray[np.float64]
    bias_L: npt.NDArray[np.float64]

    def shares(self, query: Item, labels: Sequence[str]) -> dict[str, float] | None:
        """Probability of each of these labels; None where the router cannot tell.

        It cannot where it knows less than half of the query's words, or none of the labels. A label
        that it has never seen is as likely as the least likely one.

        Args:
            query: What is asked.
            labels: Labels that can be found.
        """
        said = _words(query)
        if not said or 2 * len(said & set(self.words)) < len(said):
            return None
        logit_L = self.weight_LF @ _features(query, self.words) + self.bias_L
        chance_L = np.exp(logit_L - logit_L.max())
        chances = dict(zip(self.labels, (chance_L / chance_L.sum()).tolist(), strict=True))
        if not chances.keys() & set(labels):
            return None
        least = min(chances.values())
        return {label: max(chances.get(label, least), 1e-12) for label in labels}

    def save(self, path: Path) -> None:
        """Write the router; the file is there whole or not at all."""
        row = {
            "format": FORMAT,
            "labels": self.labels,
            "words": self.words,
            "weights": np.round(self.weight_LF, 4).tolist(),
            "bias": np.round(self.bias_L, 4).tolist(),
        }
        write_text(path, json.dumps(row) + "\n")

    @classmethod
    def load(cls, path: Path) -> Router:
        """Read a router.

        Raises:
            LibraryError: The file does not hold one.
        """
        try:
            row: Any = json.loads(path.read_text(encoding="utf-8"))
            if row["format"] != FORMAT:
                raise ValueError(f"format {row['format']!r}")
            found = cls(
                labels=tuple(Modality.parse(label).label for label in row["labels"]),
                words=tuple(str(word) for word in row["words"]),
                weight_LF=np.array(row["weights"], np.float64),
                bias_L=np.array(row["bias"], np.float64),
            )
            _check(found)
        except (OSError, DataError, ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"{path} holds no router: {error}.", "Fit it again, or delete it to do without."
            ) from error
        return found


def fit(
    queries: Sequence[Item], targets: Sequence[Modality], weights: Sequence[float] | None = None
) -> Router:
    """Fit a router by logistic regression.

    Args:
        queries: Queries of training pairs.
        targets: The modality of what answered each.
        weights: How much each counts; by default all the same.

    Raises:
        LibraryError: All targets are of one modality.
    """
    from sklearn.linear_model import LogisticRegression

    labels = sorted({target.label for target in targets})
    if len(labels) < 2:
        raise LibraryError(
            f"All {len(queries)} queries want the same: {', '.join(labels)}.",
            "Fit a router on pairs of several target modalities.",
        )
    counts = Counter(word for query in queries for word in _words(query))
    common = sorted(counts, key=lambda word: (-counts[word], word))[:VOCABULARY]
    words = tuple(word for word in common if counts[word] >= SELDOM)
    feature_NF = np.stack([_features(query, words) for query in queries])
    model = LogisticRegression(max_iter=2000)
    model.fit(feature_NF, [target.label for target in targets], sample_weight=weights)
    weight_LF, bias_L = model.coef_, model.intercept_
    if len(labels) == 2:  # scikit-learn then keeps the second label's row alone
        weight_LF, bias_L = np.vstack([-weight_LF, weight_LF]) / 2, np.hstack([-bias_L, bias_L]) / 2
    return Router(tuple(labels), words, np.asarray(weight_LF), np.asarray(bias_L))


def find_router(places: Iterable[Path]) -> Router | None:
    """The router in the first of these folders that has one.

    Raises:
        LibraryError: There is one, and it cannot be read.
    """
    for place in places:
        path = place / FILE
        if path.is_file():
            return _loaded(path, path.stat().st_mtime_ns)
    return None


@lru_cache(maxsize=8)
def _loaded(path: Path, mtime_ns: int) -> Router:
    return Router.load(path)


def _words(query: Item) -> set[str]:
    return set(re.findall(r"\w+", f"{query.instruction or ''} {query.text or ''}".lower()))


def _features(query: Item, words: Sequence[str]) -> npt.NDArray[np.float64]:
    """Which modalities (3) and words (W) a query has, as zeros and ones."""
    found = _words(query)
    parts = [part in query.modality for part in _PARTS]
    return np.array([*parts, *(word in found for word in words)], np.float64)


def _check(router: Router) -> None:
    shape = (len(router.labels), len(_PARTS) + len(router.words))
    if router.weight_LF.shape != shape or router.bias_L.shape != shape[:1]:
        raise ValueError(f"weights {router.weight_LF.shape} where {shape} are expected")
    if not (np.isfinite(router.weight_LF).all() and np.isfinite(router.bias_L).all()):
        raise ValueError("numbers that are not finite")
