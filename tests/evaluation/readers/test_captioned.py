from __future__ import annotations

from pathlib import Path

import pytest

from unite.errors import DataError
from unite.evaluation.readers.captioned import Captioned, both_ways, image
from unite.evaluation.registry import benchmark_named

FLICKR = benchmark_named("flickr30k")


@pytest.mark.parametrize("captions", [[], ["a", " "], ["a", 3]])
def test_a_medium_without_words_is_told(captions: list[str]) -> None:
    with pytest.raises(DataError, match="x has no caption, or an empty one"):
        both_ways(FLICKR, [Captioned("x", Path("x"), captions)], image, "i")


def test_two_media_of_one_id_are_told() -> None:
    twice = [Captioned("x", Path(name), ["a"]) for name in "ab"]
    with pytest.raises(DataError, match="x is there twice"):
        both_ways(FLICKR, twice, image, "i")
