from dataclasses import replace
from typing import Any

from unite.data.records import content_id, parse_pair
from unite.training.meanings import Meanings
from unite.types import Clip, Item, Modality, Pair


def pair(query: str, candidate: str, **ids: Any) -> Pair:
    return parse_pair({"query": {"text": query}, "candidate": {"image": candidate}, **ids})


def image(name: str) -> Item:
    return Item(images=(name,))


CORPUS = [image(name) for name in ("a", "b", "c", "d")]


def barred(pairs: list[Pair], corpus: list[Item] = CORPUS) -> list[str]:
    """What may not become a negative of the first pair."""
    rows = Meanings(pairs, corpus).barred(pairs[0])
    return ["".join(map(str, corpus[row].images)) for row in rows]


def test_alone_a_pair_bars_its_positive() -> None:
    assert barred([pair("q", "a"), pair("other", "b")]) == ["a"]


def test_every_positive_of_the_same_query_is_barred() -> None:
    one = pair("q", "a", query_id="1")
    assert barred([one, pair("other words", "b", query_id="1")]) == ["a", "b"]
    assert barred([one, pair("q", "c", query_id="2")]) == ["a", "c"]
    told = pair("q", "c", query_id="2")
    told = replace(told, query=replace(told.query, instruction="find the picture:"))
    assert barred([one, told]) == ["a", "c"]


def test_what_means_the_same_as_a_positive_is_barred() -> None:
    one = pair("q", "a", candidate_id="star")
    assert barred([one, pair("p", "b", candidate_id="star")]) == ["a", "b"]
    second = pair("q", "c", candidate_id="ring")
    assert barred([one, second, pair("p", "d", candidate_id="ring")]) == ["a", "c", "d"]


def test_the_other_meaning_of_a_candidate_counts_and_that_of_the_positive_does_not() -> None:
    """As in the loss: a coarse caption is true of a fine picture; a fine one only of its own."""
    coarse = pair("a red star", "a", candidate_id="red star", candidate_also_id="fine 1")
    fine = pair("a big red star", "b", candidate_id="fine 2", candidate_also_id="red star")
    assert barred([coarse, fine]) == ["a", "b"]
    assert barred([fine, coarse]) == ["b"]


def test_the_negatives_of_other_pairs_tell_of_meanings_too() -> None:
    one = pair("q", "a", candidate_id="star")
    other = pair("p", "b", negative=[{"image": "c"}, {"image": "d"}])
    assert barred([one, replace(other, negative_ids=("star", "x"))]) == ["a", "c"]
    also = replace(other, negative_ids=("y", "x"), negative_also_ids=("y", "star"))
    assert barred([one, also]) == ["a", "d"]


def test_the_query_itself_and_the_negatives_it_has_are_barred() -> None:
    row = {
        "query": {"image": "b", "instruction": "find another:"},
        "candidate": {"image": "a"},
        "negative": {"image": "d"},
    }
    assert barred([parse_pair(row)]) == ["a", "b", "d"]
    row["query"] = {"image": "b", "text": "but blue"}
    assert barred([parse_pair(row)]) == ["a", "d"]  # a part of the query is the hardest negative


def test_the_order_of_parts_is_no_other_meaning() -> None:
    page = Item(text="t", images=("a",), order=(Modality.IMAGE, Modality.TEXT))
    row = {"query": {"text": "q"}, "candidate": {"text": "t", "image": "a"}}
    assert Meanings([parse_pair(row)], [page]).barred(parse_pair(row)).tolist() == [0]
    clips = [Item(videos=(Clip("v", 0.0, 1.0),)), Item(videos=(Clip("v", 1.0, 2.0),))]
    row["candidate"] = {"video": {"path": "v", "start": 1.0, "end": 2.0}}
    assert Meanings([parse_pair(row)], clips).barred(parse_pair(row)).tolist() == [1]


def test_ids_are_those_that_pairs_give_or_a_hash() -> None:
    pairs = [
        pair("q", "a", candidate_id="1"),
        pair("q", "b", candidate_id="2", candidate_also_id="3"),
        pair("p", "a", candidate_id="1", candidate_also_id="4"),
        pair("r", "a", candidate_id="5"),
    ]
    meanings = Meanings(pairs, CORPUS)
    assert meanings.ids_of(image("a")) == ("1", "4")
    assert meanings.ids_of(image("b")) == ("2", "3")
    assert meanings.ids_of(image("c")) == (content_id(image("c")),) * 2


def test_what_asks_for_the_query_is_barred() -> None:
    """A picture with five captions asks for one of them; the four others ask for the picture."""
    captions = [Item(text=f"c{number}") for number in range(6)]
    shown = [{"query": {"text": f"c{n}"}, "candidate": {"image": "a"}} for n in range(5)]
    back = parse_pair({"query": {"image": "a"}, "candidate": {"text": "c0"}})
    told = Meanings([back, *map(parse_pair, shown)], captions)
    assert told.barred(back).tolist() == [0, 1, 2, 3, 4]
