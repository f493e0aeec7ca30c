"""The written form of filters: ``modality:video path:"*/2024/*" -tag:draft longer:10s``.

Conditions side by side hold together, ``OR`` stands between alternatives and binds less, a minus
negates what follows it, parentheses group, and commas list values of which one must hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from unite.errors import DataError, FilterError, did_you_mean
from unite.stores.filters import (
    EVERYTHING,
    AllOf,
    AnyOf,
    Between,
    Filter,
    HasModality,
    HasTag,
    Not,
    PathMatches,
)
from unite.types import Modality

DEEPEST = 50
"""Most groups and minus signs within one another."""

EXAMPLE = 'modality:video path:"*/2024/*" after:2024-06-01 longer:10s -tag:draft'

_PIECE = r'"(?:[^"\\]|\\.)*"|[^\s(),"]+'
_TOKEN = re.compile(
    rf"\s*(?:(?P<sign>[()]|-(?=[\w(-]))|(?P<or>OR)(?=[\s(]|$)"
    rf"|(?P<key>\w+):(?P<values>(?:{_PIECE})(?:,(?:{_PIECE}))*)(?=[\s)]|$))",
    re.DOTALL,
)
_BYTES = {"": 1, "b": 1} | {
    f"{name}{unit}b": base**power
    for unit, base in (("", 1000), ("i", 1024))
    for power, name in enumerate("kmgt", 1)
}
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d))?)?)?")


def parse_filter(text: str) -> Filter:
    """Read a filter; an empty text admits everything.

    Args:
        text: Such as ``modality:image,video (tag:beach OR tag:sea) before:2024 larger:1MB``.

    Raises:
        FilterError: It cannot be read; the message says where and what would do.
    """
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise FilterError("The filter holds characters that no path or tag can hold.")
    return _Reader(text).whole()


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    depth: int = 0

    def whole(self) -> Filter:
        """The filter to its end."""
        if not self.text.strip():
            return EVERYTHING
        found = self._alternatives()
        if self._peek():
            raise FilterError(f"A parenthesis is closed that was not opened: {self._rest()!r}.")
        return found

    def _alternatives(self) -> Filter:
        found = [self._together()]
        while (token := self._peek()) and token["or"]:
            self.at = token.end()
            found.append(self._together())
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _together(self) -> Filter:
        found = []
        while (token := self._peek()) and not token["or"] and token["sign"] != ")":
            found.append(self._one(token))
        if not found:
            raise FilterError(
                f"A condition is missing before {self._rest() or 'the end'!r}.",
                f"For example: {EXAMPLE}",
            )
        return found[0] if len(found) == 1 else AllOf(tuple(found))

    def _one(self, token: re.Match[str]) -> Filter:
        self.at = token.end()
        if token["key"]:
            return _condition(token["key"], token["values"])
        self.depth += 1
        if self.depth > DEEPEST:
            raise FilterError(f"The filter is nested deeper than {DEEPEST} times.")
        found = self._negated() if token["sign"] == "-" else self._group()
        self.depth -= 1
        return found

    def _negated(self) -> Filter:
        token = self._peek()
        if token is None or token["or"] or token["sign"] == ")":
            raise FilterError(
                f"A minus stands before {self._rest() or 'the end'!r}, not before a condition."
            )
        return Not(self._one(token))

    def _group(self) -> Filter:
        found = self._alternatives()
        token = self._peek()
        if token is None:
            raise FilterError("A parenthesis is not closed.", "Add ')'.")
        self.at = token.end()
        return found

    def _peek(self) -> re.Match[str] | None:
        """The next token; None at the end."""
        token = _TOKEN.match(self.text, self.at)
        if token is None and self._rest():
            _refuse(self._rest())
        return token

    def _rest(self) -> str:
        return self.text[self.at :].strip()


def _refuse(rest: str) -> None:
    """Say what is wrong with the text that begins no token."""
    word = rest.split()[0]
    key, colon, value = word.partition(":")
    if not colon:
        raise FilterError(f"{word!r} is no condition.", f"Write key:value, for example: {EXAMPLE}")
    _reader(key.lstrip("-"))
    if not value:
        raise FilterError(f"{word!r} has no value.", f"Write it behind the colon: {EXAMPLE}")
    raise FilterError(
        f"The value in {word!r} cannot be read.",
        'Put a value with spaces, commas, quotes or parentheses in quotes: path:"*/a (1), b.jpg".',
    )


def _condition(key: str, values: str) -> Filter:
    read = _reader(key)
    found = [read(_plain(piece)) for piece in re.findall(_PIECE, values, re.DOTALL)]
    return found[0] if len(found) == 1 else AnyOf(tuple(found))


def _reader(key: str) -> Callable[[str], Filter]:
    read = _KEYS.get(key.lower())
    if read is None:
        raise FilterError(f"{key!r} is no key of a filter.", did_you_mean(key.lower(), _KEYS))
    return read


def _plain(piece: str) -> str:
    return re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL) if piece[0] == '"' else piece


def _modality(value: str) -> Filter:
    try:
        return HasModality(Modality.parse(value).label)
    except DataError as error:
        raise FilterError(error.message, error.remedy) from error


def _period(value: str) -> tuple[int, int]:
    """Begin and end of a year, month, day or minute in local time, in seconds since 1970."""
    match = _DATE.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute = (None if n is None else int(n) for n in match.groups())
        begin = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0)
        if month is None:
            end = begin.replace(year=begin.year + 1)
        elif day is None:
            end = (begin + timedelta(days=31)).replace(day=1)
        else:
            end = begin + (timedelta(days=1) if hour is None else timedelta(minutes=1))
        return int(begin.timestamp()), int(end.timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise FilterError(
            f"{value!r} is not a date.", "Write 2024, 2024-06, 2024-06-01 or 2024-06-01T12:30."
        ) from error


def _number(value: str, units: dict[str, int], kind: str) -> float:
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)", value.lower())
    if match is None or match[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise FilterError(f"{value!r} is not {kind}.", f"Write a number and a unit: {known}.")
    return float(match[1]) * units[match[2]]


def _seconds(value: str) -> float:
    return _number(value, _SECONDS, "a duration")


def _bytes(value: str) -> int:
    return round(_number(value, _BYTES, "a size"))


_KEYS: dict[str, Callable[[str], Filter]] = {
    "modality": _modality,
    "path": PathMatches,
    "tag": HasTag,
    "date": lambda value: Between("modified", *_period(value)),
    "after": lambda value: Between("modified", low=_period(value)[0]),
    "before": lambda value: Between("modified", high=_period(value)[0]),
    "longer": lambda value: Between("duration", low=_seconds(value)),
    "shorter": lambda value: Between("duration", high=_seconds(value)),
    "larger": lambda value: Between("size", low=_bytes(value)),
    "smaller": lambda value: Between("size", high=_bytes(value)),
}
