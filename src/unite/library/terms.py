"""Query arithmetic: a weighted sum of items and of what a library holds already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unite.errors import ItemError, LibraryError, MediaError, did_you_mean
from unite.library.library import Library
from unite.paths import absolute
from unite.stores.protocol import Record, Row
from unite.types import Clip, Encoder, Item, Vector

KINDS = ("text", "image", "video", "like")
_TERM = re.compile(r"(?:(?P<weight>\d+(?:\.\d+)?|\.\d+)\*)?(?P<kind>\w+):(?P<value>.+)", re.DOTALL)
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a query.

    Attributes:
        of: An item to embed, or the id or path of something that the library holds.
        weight: Negative to lead away from it.
    """

    of: Item | str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A query as a vector of unit length, shape (D,).

    Attributes:
        vector: The sum of the terms.
        item: The item among them whose words say what is wanted, if any.
        liked: What it was asked with out of the library: no answer to it.
    """

    vector: Vector
    item: Item | None = None
    liked: tuple[Record, ...] = ()


def parse_term(text: str, sign: float = 1.0) -> Term:
    """Read ``text:snow``, ``0.5*image:photo.jpg``, ``video:clip.mp4`` or ``like:ID``.

    Args:
        text: The term.
        sign: What the weight is multiplied with.

    Raises:
        ItemError: The kind is unknown, or nothing follows it.
        MediaError: The file is not there.
    """
    match = _TERM.fullmatch(text.strip())
    if match is None:
        raise ItemError(
            f"{text!r} is no part of a query.",
            "Write text:WORDS, image:FILE, video:FILE or like:ID; 0.5*text:WORDS counts half.",
        )
    kind, value = match["kind"], match["value"].strip()
    if kind not in KINDS:
        raise ItemError(f"{kind!r} in {text!r} is no kind of query.", did_you_mean(kind, KINDS))
    if kind in ("image", "video") and not Path(value).is_file():
        raise MediaError(f"{value} is not a file.", "Check the path.")
    weight = sign * float(match["weight"] or 1.0)
    match kind:
        case "text":
            return Term(Item(text=value), weight)
        case "image":
            return Term(Item(images=(value,)), weight)
        case "video":
            return Term(Item(videos=(Clip(value),)), weight)
        case _:
            return Term(value, weight)


def ask(library: Library, encoder: Encoder, terms: Sequence[Term]) -> Asked:
    """Embed what is to be embedded, look up the rest, and add it all up.

    Args:
        library: Where `like` terms are found.
        encoder: The library's model.
        terms: At least one with a positive weight.

    Raises:
        ItemError: Something cannot be embedded, or nothing is left of the sum.
        LibraryError: The library does not hold what a term names.
    """
    if not any(term.weight > 0 for term in terms):
        raise ItemError(
            "There is nothing to search for.", "Give words, a picture, a clip, or --like."
        )
    items = [term.of for term in terms if isinstance(term.of, Item)]
    embedded = iter([*_embedded(encoder, items)])
    liked: list[Record] = []
    vector = np.zeros(library.facts.dim, np.float64)
    for term in terms:
        if isinstance(term.of, Item):
            part = next(embedded)
        else:
            rows = held(library, term.of)
            liked += [row.record for row in rows]
            part = _unit(np.sum([row.vector for row in rows], axis=0, dtype=np.float64))
        vector += term.weight * part.astype(np.float64)
    wanted = [term.of for term in terms if isinstance(term.of, Item) and term.weight > 0]
    return Asked(_unit(vector), wanted[0] if wanted else None, tuple(liked))


def held(library: Library, name: str) -> list[Row]:
    """What a library holds under an id, else all parts of the file at a path.

    Raises:
        LibraryError: Nothing.
    """
    path = absolute(name)
    for ids in ([name], [path]):
        if rows := library.store.get(ids):
            return rows
    ids = sorted(record.id for record in library.store.records([path]))
    if not ids:
        raise LibraryError(
            f"{library.path} holds nothing named {name}.",
            "Give an id (search --json prints it) or the path of an indexed file, or ask with the "
            "file: --image, --video.",
        )
    return library.store.get(ids)


def _embedded(encoder: Encoder, items: Sequence[Item]) -> list[Vector]:
    vectors = []
    for result in encoder.embed([replace(item, id=None) for item in items]):
        if result.vector is None:
            raise ItemError(f"The query cannot be embedded: {result.error}")
        vectors.append(result.vector)
    return vectors


def _unit(vector: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    length = float(np.linalg.norm(vector))
    if length < _NOTHING:
        raise ItemError(
            "The parts of the query cancel each other out.", "Change a weight, or leave one out."
        )
    return np.asarray(vector / length, np.float32)
