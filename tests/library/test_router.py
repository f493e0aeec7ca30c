from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unite.errors import LibraryError
from unite.library.router import FILE, Router, find_router, fit
from unite.library.search import model_folder
from unite.types import Clip, Item, Modality

LABELS = ["image", "text", "video"]
PAIRS = [
    *[(Item(text=f"a cat number {n}"), Modality.IMAGE) for n in range(20)],
    *[(Item(text=f"a cat jumps {n}"), Modality.VIDEO) for n in range(20)],
    *[(Item(images=(f"{n}.png",), instruction="what is it"), Modality.TEXT) for n in range(20)],
]


@pytest.fixture(scope="module")
def router() -> Router:
    return fit(*map(list, zip(*PAIRS, strict=True)))  # type: ignore[arg-type]


def best(router: Router, query: Item, labels: list[str] = LABELS) -> str:
    shares = router.shares(query, labels)
    assert shares is not None
    return max(shares, key=lambda label: shares[label])


def test_words_and_modalities_decide(router: Router) -> None:
    assert best(router, Item(text="the cat jumps")) == "video"
    assert best(router, Item(text="the number")) == "image"
    assert best(router, Item(images=("x.png",), text="what")) == "text"
    assert best(router, Item(text="JUMPS!")) == "video"


def test_shares_are_chances_of_what_can_be_found(router: Router) -> None:
    shares = router.shares(Item(text="a cat jumps"), LABELS)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    some = router.shares(Item(text="a cat jumps"), ["text", "text+image"])
    assert some is not None
    assert some["text+image"] == min(shares.values())
    assert router.shares(Item(text="a cat jumps"), ["text+image"]) is None


def test_it_is_silent_on_what_it_does_not_know(router: Router) -> None:
    assert router.shares(Item(text="an unheard of jumps"), LABELS) is None
    assert router.shares(Item(images=("x.png",)), LABELS) is None
    assert router.shares(Item(text="a"), LABELS) is not None


def test_seldom_words_are_not_learnt(router: Router) -> None:
    assert {"jumps", "cat", "number"} <= set(router.words)
    assert "7" not in router.words


def test_two_modalities_are_enough_and_one_is_not() -> None:
    two = [pair for pair in PAIRS if pair[1] is not Modality.TEXT]
    found = fit([query for query, _ in two], [target for _, target in two])
    assert best(found, Item(text="jumps"), ["image", "video"]) == "video"
    assert best(found, Item(text="number"), ["image", "video"]) == "image"
    with pytest.raises(LibraryError, match="want the same: image"):
        fit([Item(text="a")], [Modality.IMAGE])


def test_weights_decide_between_equal_queries() -> None:
    queries = [Item(text="same words")] * 10
    targets = [Modality.IMAGE, Modality.VIDEO] * 5
    for weights, label in (([9.0, 1.0], "image"), ([1.0, 9.0], "video")):
        assert best(fit(queries, targets, weights * 5), queries[0], ["image", "video"]) == label


def test_saved_and_found_again(router: Router, tmp_path: Path) -> None:
    assert find_router([tmp_path, tmp_path / "none"]) is None
    router.save(tmp_path / FILE)
    found = find_router([tmp_path / "none", tmp_path])
    assert found is not None
    for query in (Item(text="a cat jumps"), Item(text="what", videos=(Clip("a.mp4"),))):
        assert found.shares(query, LABELS) == pytest.approx(router.shares(query, LABELS), abs=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_newer_file_is_read_again(router: Router, tmp_path: Path) -> None:
    router.save(tmp_path / FILE)
    assert find_router([tmp_path]) is find_router([tmp_path])
    path = tmp_path / FILE
    path.write_text("{}")
    os.utime(path, ns=(1, 1))
    with pytest.raises(LibraryError, match="holds no router"):
        find_router([tmp_path])


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"labels": ["sound", "text", "video"]},
        {"bias": [0.0]},
        {"weights": [[0.0]]},
        {"bias": [float("nan")] * 3},
        {"words": None},
    ],
)
def test_what_is_no_router_is_refused(
    router: Router, tmp_path: Path, change: dict[str, object]
) -> None:
    router.save(tmp_path / FILE)
    row = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**row, **change}))
    with pytest.raises(LibraryError, match="Fit it again"):
        Router.load(tmp_path / FILE)


def test_mini_has_one_that_knows_what_its_words_are_for() -> None:
    found = find_router([model_folder("mini")])
    assert found is not None
    labels = [*LABELS, "text+image"]
    assert best(found, Item(text="a small red circle moves left"), labels) == "video"
    assert best(found, Item(text="a small red circle on the left"), labels) == "image"
    page = Item(text="where is there a red ring ?", instruction="find the page with this scene:")
    assert best(found, page, labels) == "text+image"
    assert found.shares(Item(text="my grandmother in Lisbon"), labels) is None
