"""Which records a search may return: a tree of conditions that every engine evaluates itself.

`admits` says what a condition means. An engine's translation (`columns`, `lance_sql`,
`qdrant_filter`) must agree with it on every record.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from unite.types import Modality

if TYPE_CHECKING:
    from unite.stores.protocol import Record

Measure = Literal["modified", "duration", "size"]
"""Numbers of a record that can be compared: whole seconds since 1970, seconds, bytes."""


class Filter(ABC):
    """A condition on records."""

    __slots__ = ()

    @abstractmethod
    def admits(self, record: Record) -> bool:
        """Whether a record passes."""

    def __and__(self, other: Filter) -> AllOf:
        """Both conditions together."""
        sides = [one.parts if isinstance(one, AllOf) else (one,) for one in (self, other)]
        return AllOf((*sides[0], *sides[1]))


@dataclass(frozen=True, slots=True)
class AllOf(Filter):
    """Every part holds; without parts, every record passes."""

    parts: tuple[Filter, ...] = ()

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return all(part.admits(record) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf(Filter):
    """At least one part holds; without parts, no record passes."""

    parts: tuple[Filter, ...]

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return any(part.admits(record) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not hold: what it asks for may also be unknown of a record."""

    part: Filter

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return not self.part.admits(record)


@dataclass(frozen=True, slots=True)
class HasModality(Filter):
    """The modality's label, compared whole: ``image`` does not admit ``text+image``."""

    label: str

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return record.modality == self.label


@dataclass(frozen=True, slots=True)
class PathMatches(Filter):
    """A pattern for the whole path, case-sensitive.

    ``*`` is any run of characters, slashes included, ``?`` is one character, everything else
    stands for itself.
    """

    glob: str

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return glob_pattern(self.glob).fullmatch(record.path) is not None


@dataclass(frozen=True, slots=True)
class Between(Filter):
    """``low <= number < high``; None is no bound. A number that is not known never passes."""

    measure: Measure
    low: float | None = None
    high: float | None = None

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        value: float | None = getattr(record, self.measure)
        if value is None:
            return False
        return (self.low is None or self.low <= value) and (self.high is None or value < self.high)


@dataclass(frozen=True, slots=True)
class HasTag(Filter):
    """One of the record's tags, compared whole."""

    tag: str

    def admits(self, record: Record) -> bool:
        """Whether a record passes."""
        return self.tag in record.tags


EVERYTHING = AllOf()


def of_modalities(labels: str) -> Filter:
    """``image,text+image`` as a condition on whole labels; where none is named, all pass.

    Raises:
        DataError: One of them is none.
    """
    found = [Modality.parse(word).label for word in labels.split(",") if word.strip()]
    return AnyOf(tuple(map(HasModality, found))) if found else EVERYTHING


@lru_cache(maxsize=64)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob as a regular expression for the whole path."""
    words = {"*": ".*", "?": "."}
    return re.compile("".join(words.get(char, re.escape(char)) for char in glob), re.DOTALL)
