from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from tests.library.fakes import FakeEncoder

from unite.data.records import content_id
from unite.errors import DataError
from unite.training.embedded import SHARD, embed_once
from unite.types import Embedding, Item


class ByAddress(FakeEncoder):
    """Reads `file://` addresses, as the engine does."""

    def _one(self, item: Item) -> Embedding:
        paths = (url2pathname(urlsplit(str(ref)).path) for ref in item.images)
        return super()._one(replace(item, images=tuple(paths)))


TEXTS = [Item(text=f"text {n}", id=str(n)) for n in range(300)]


class Cut(FakeEncoder):
    """Breaks off after so many results."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for result in super().embed(items):
            if self.after == 0:
                raise KeyboardInterrupt
            self.after -= 1
            yield result


def equal(one: dict[str, Embedding], other: dict[str, Embedding]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name].vector, other[name].vector)  # type: ignore[arg-type]
        and (one[name].error, one[name].note) == (other[name].error, other[name].note)
        for name in one
    )


def test_every_distinct_item_is_embedded_once(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    found = embed_once(encoder, [*TEXTS[:5], *TEXTS[:7], Item(text="text 0", id="x")], tmp_path)
    assert len(encoder.seen) == len(found) == 7
    for item in TEXTS[:7]:
        (plain,) = FakeEncoder().embed([item])
        np.testing.assert_array_equal(found[content_id(item)].vector, plain.vector)


@pytest.mark.parametrize("after", [0, 1, 127, 128, 129, 256, 299])
def test_cut_off_anywhere_it_goes_on(tmp_path: Path, after: int) -> None:
    whole = embed_once(FakeEncoder(), TEXTS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        embed_once(Cut(after), TEXTS, tmp_path / "cut")
    again = FakeEncoder()
    assert equal(embed_once(again, TEXTS, tmp_path / "cut"), whole)
    assert len(again.seen) == 300 - after // SHARD * SHARD
    last = FakeEncoder()
    assert equal(embed_once(last, TEXTS, tmp_path / "cut"), whole)
    assert last.seen == []


def test_another_model_starts_anew(tmp_path: Path) -> None:
    embed_once(FakeEncoder("one"), TEXTS[:3], tmp_path)
    other = FakeEncoder("other")
    embed_once(other, TEXTS[:3], tmp_path)
    assert len(other.seen) == 3


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    bad, short = tmp_path / "bad.png", tmp_path / "short.png"
    bad.write_bytes(b"broken")
    short.write_bytes(b"short")
    items = [Item(images=(str(path),)) for path in (bad, short, tmp_path / "gone.png")]
    first = embed_once(FakeEncoder(), items, tmp_path / "kept")
    errors = [first[content_id(item)].error for item in items]
    assert errors == ["cannot be decoded", None, "cannot be opened: No such file or directory"]
    again = FakeEncoder()
    assert equal(embed_once(again, items, tmp_path / "kept"), first)
    assert len(again.seen) == 2  # a decoder may have been too slow for once
    assert first[content_id(items[1])].note == "cut short"
    bad.write_bytes(b"mended")
    (tmp_path / "gone.png").write_bytes(b"back")
    again = FakeEncoder()
    mended = embed_once(again, items, tmp_path / "kept")
    assert len(again.seen) == 2
    assert all(result.error is None for result in mended.values())
    assert embed_once(again, items, tmp_path / "kept").keys() == mended.keys()
    assert len(again.seen) == 2  # what went well is kept, whatever was tried beside it


def test_a_changed_file_is_embedded_again_by_its_address_too(tmp_path: Path) -> None:
    file = tmp_path / "a b.png"
    for data in (b"one", b"other"):
        file.write_bytes(data)
        encoder = ByAddress()
        for _ in range(2):
            embed_once(encoder, [Item(images=(file.as_uri(),))], tmp_path / "kept")
        assert len(encoder.seen) == 1


def test_progress_counts_distinct_items(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed_once(Cut(200), TEXTS, tmp_path)
    seen: list[tuple[int, int]] = []
    embed_once(FakeEncoder(), TEXTS, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 300) for done in range(129, 301)]


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    embed_once(FakeEncoder(), TEXTS[:3], tmp_path)
    (shard,) = (tmp_path / "id-of-fake").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError, match=f"{shard.name}.*Remove it"):
        embed_once(FakeEncoder(), TEXTS[:3], tmp_path)


def test_nothing_to_embed(tmp_path: Path) -> None:
    assert embed_once(FakeEncoder(), [], tmp_path) == {}
