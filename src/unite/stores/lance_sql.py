"""Filters as SQL conditions, in the dialect of LanceDB (DataFusion).

Nothing of a filter's words can leave its literal: quotes are doubled, and what LIKE would read as
a sign is escaped. In SQL a comparison with NULL is neither true nor false, so conditions on what a
record may lack say first that it is there: otherwise their negation would lose those records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unite.stores.filters import (
    AllOf,
    AnyOf,
    Between,
    Filter,
    HasModality,
    HasTag,
    Not,
    PathMatches,
)

AT_ONCE = 1000
"""Longest list of values in one condition."""

_LIKE = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
_INT64 = 2**63 - 1


def condition(where: Filter) -> str:
    """A filter as an SQL condition; ``true`` where everything passes.

    Args:
        where: The filter.

    Raises:
        TypeError: It is of a kind that this engine does not know.
    """
    match where:
        case AllOf(parts):
            return _joined(" AND ", parts) or "true"
        case AnyOf(parts):
            return _joined(" OR ", parts) or "false"
        case Not(part):
            return f"NOT ({condition(part)})"
        case HasModality(label):
            return f"modality = {quoted(label)}"
        case PathMatches(glob):
            pattern = "".join(_LIKE.get(char, char) for char in glob)
            return f"path LIKE {quoted(pattern)}"
        case HasTag(tag):
            return f"(tags IS NOT NULL AND array_has(tags, {quoted(tag)}))"
        case Between():
            return f"({' AND '.join(_bounds(where))})"
    raise TypeError(f"{where!r} is no filter.")


def among(column: str, values: Iterable[str]) -> Iterator[str]:
    """Conditions for lists of values, each of a length that the engine can parse.

    Args:
        column: Name of a column of words.
        values: What it may hold.
    """
    unique = sorted(set(values))
    for first in range(0, len(unique), AT_ONCE):
        names = ", ".join(quoted(name) for name in unique[first : first + AT_ONCE])
        yield f"{column} IN ({names})"


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _joined(word: str, parts: Iterable[Filter]) -> str:
    return word.join(f"({condition(part)})" for part in parts)


def _bounds(where: Between) -> Iterator[str]:
    column = "mtime_ns" if where.measure == "modified" else where.measure
    yield f"{column} IS NOT NULL"
    if where.low is not None:
        yield f"{column} >= {_number(where, where.low)}"
    if where.high is not None:
        yield f"{column} < {_number(where, where.high)}"


def _number(where: Between, value: float) -> str:
    """A bound in the column's unit, within what 64 bits hold."""
    if where.measure == "duration":
        return f"CAST('{value!r}' AS DOUBLE)"
    scaled = int(value) * (10**9 if where.measure == "modified" else 1)
    return str(max(-_INT64, min(scaled, _INT64)))
