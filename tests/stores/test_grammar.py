from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite.errors import FilterError
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
from unite.stores.grammar import parse_filter


@pytest.fixture(autouse=True)
def in_paris() -> Iterator[None]:
    """A zone that is not UTC, so that local time can be told from it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Paris"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


a, b, c = HasTag("a"), HasTag("b"), HasTag("c")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ("tag:a", a),
        ("TAG:a", a),
        ("tag:a  tag:b", AllOf((a, b))),
        ("tag:a OR tag:b tag:c", AnyOf((a, AllOf((b, c))))),
        ("(tag:a OR tag:b) tag:c", AllOf((AnyOf((a, b)), c))),
        ("-tag:a tag:b", AllOf((Not(a), b))),
        ("-(tag:a tag:b)", Not(AllOf((a, b)))),
        ("--tag:a", Not(Not(a))),
        ("tag:a,b", AnyOf((a, b))),
        ('tag:"a,b",c', AnyOf((HasTag("a,b"), c))),
        (r'tag:"say \"a\" \\ (b)"', HasTag(r'say "a" \ (b)')),
        ("tag:OR", HasTag("OR")),
        ("tag:-x", HasTag("-x")),
        ("tag:a:b", HasTag("a:b")),
        ("path:*/x-y\\z/*", PathMatches("*/x-y\\z/*")),
        ("modality:image,Image+TEXT", AnyOf((HasModality("image"), HasModality("text+image")))),
        ("longer:10", Between("duration", low=10)),
        ("longer:1.5m", Between("duration", low=90)),
        ("shorter:2h", Between("duration", high=7200)),
        ("larger:1.5MB", Between("size", low=1_500_000)),
        ("smaller:2kib", Between("size", high=2048)),
        ("smaller:10", Between("size", high=10)),
        ("after:1970-01-02", Between("modified", low=82_800)),
        ("before:1970-01-02T01:30", Between("modified", high=88_200)),
        ("date:1970-01-02", Between("modified", 82_800, 169_200)),
        ("date:2024-02", Between("modified", 1706742000, 1709247600)),
        ("date:2023-12", Between("modified", 1701385200, 1704063600)),
        ("date:2024", Between("modified", 1704063600, 1735686000)),
        ("date:2024-03-31", Between("modified", 1711839600, 1711839600 + 23 * 3600)),
    ],
)
def test_what_is_written_and_what_is_meant(text: str, meant: Filter) -> None:
    assert parse_filter(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modalty:image", "'modalty' is no key of a filter. Did you mean 'modality'?"),
        ("-logner:3s", "'logner' is no key of a filter. Did you mean 'longer'?"),
        ("beach", "'beach' is no condition. Write key:value"),
        ("tag: a", "'tag:' has no value"),
        ("tag:a,", "The value in 'tag:a,' cannot be read. Put a value with spaces"),
        ('tag:"a', "cannot be read"),
        ('tag:a"b', "cannot be read"),
        ("path:/a(1)", "cannot be read"),
        ("modality:imge", "'imge' .* Did you mean 'image'"),
        ("longer:10x", "'10x' is not a duration. .*: s, m, min, h"),
        ("longer:ten", "'ten' is not a duration"),
        ("larger:-1", "'-1' is not a size"),
        ("larger:" + "9" * 40, "is not a size"),
        ("after:yesterday", "'yesterday' is not a date. Write 2024, 2024-06"),
        ("date:2024-02-30", "is not a date"),
        ("date:2024-6", "is not a date"),
        ("date:9999", "is not a date"),
        ("(tag:a", "not closed"),
        ("tag:a)", "closed that was not opened"),
        ("()", "A condition is missing before '\\)'"),
        ("tag:a OR", "A condition is missing before 'the end'"),
        ("OR tag:a", "A condition is missing before 'OR tag:a'"),
        ("-", "'-' is no condition"),
        ("-(", "A condition is missing before 'the end'"),
        ("tag:a\0", "characters that no path"),
        ("tag:\udcff", "characters that no path"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_would_do(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        parse_filter(text)


@pytest.mark.parametrize("text", ["(" * 60 + "tag:a" + ")" * 60, "-" * 20_000 + "tag:a"])
def test_no_depth_breaks_the_reader(text: str) -> None:
    with pytest.raises(FilterError, match="nested deeper than 50"):
        parse_filter(text)


def test_many_groups_side_by_side_are_not_deep() -> None:
    assert parse_filter(" ".join(["(tag:a)"] * 80)) == AllOf((a,) * 80)


@settings(max_examples=300, deadline=None)
@given(st.text('tag:path()-"\\, ORlonger10sé', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(FilterError):
        assert isinstance(parse_filter(text), Filter)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_every_tag_can_be_written(tag: str) -> None:
    quoted = '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert parse_filter(f"tag:{quoted}") == HasTag(tag)
