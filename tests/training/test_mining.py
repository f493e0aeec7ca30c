"""A query at 0 degrees, its positive at 20, and what else stands around."""

import math
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.library.fakes import FakeEncoder

from unite.data.records import content_id, parse_pair
from unite.training.embedded import embed_once
from unite.training.hardest import cosine
from unite.training.mining import BLOCK, Mined, Rule, mine, summarise
from unite.types import Clip, Embedding, Item, Modality, Pair, Vector

ANY = Rule(margin=0.0, any_modality=True)


class Compass:
    """An encoder of ten lines: an item is called for where it points, `30` or `30 more words`."""

    dim, model_id, dtype = 2, "compass", "float32"

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for item in items:
            name = item.text or item.images[0]
            if name == "bad":
                yield Embedding(None, error="it spins")
                continue
            turn = math.radians(float(str(name).split()[0]))
            yield Embedding(np.array([math.cos(turn), math.sin(turn)], np.float32))


def pair(query: str, candidate: str, **more: Any) -> Pair:
    return parse_pair({"query": {"text": query}, "candidate": {"text": candidate}, **more})


def run(pairs: Sequence[Pair], rule: Rule, folder: Path, extra: Sequence[Item] = ()) -> list[Mined]:
    sides = [side for pair in pairs for side in (pair.query, pair.candidate)]
    return mine(pairs, extra, embed_once(Compass(), [*sides, *extra], folder), rule)


def found(mined: Mined) -> list[str]:
    return [str(item.text or item.images[0]) for item in mined.pair.negatives]


def texts(*names: str) -> list[Item]:
    return [Item(text=name) for name in names]


CROWD = texts("5", "15", "21", "30", "60", "90")
"""Cosines .996, .966, .934, .866, .5, 0; the positive's is .940."""


@pytest.mark.parametrize(
    ("rule", "want", "refused"),
    [
        (Rule(), ["30", "60", "90"], 3),
        (Rule(k=1), ["30"], 3),
        (Rule(margin=0.0), ["21", "30", "60", "90"], 2),
        (Rule(margin=0.5), ["90"], 5),
        (Rule(margin=1.0), [], 6),
        (Rule(relative=0.95), ["30", "60", "90"], 3),
        (Rule(relative=0.5), ["90"], 5),
        (Rule(relative=1.0), ["21", "30", "60", "90"], 2),
        (Rule(skip=1), ["30", "60", "90"], 2),
        (Rule(skip=4, k=1), ["60"], 0),
        (Rule(skip=9), [], 0),
    ],
)
def test_by_hand(rule: Rule, want: list[str], refused: int, tmp_path: Path) -> None:
    (mined,) = run([pair("0", "20")], rule, tmp_path, CROWD)
    assert found(mined) == want
    assert mined.refused == refused
    assert mined.positive == pytest.approx(math.cos(math.radians(20)))
    angles = [math.radians(float(name)) for name in want]
    assert mined.scores == pytest.approx([math.cos(angle) for angle in angles], abs=1e-6)


def test_a_share_of_a_score_below_nothing_lets_nothing_above_the_positive(tmp_path: Path) -> None:
    (mined,) = run([pair("0", "120")], Rule(relative=0.5), tmp_path, texts("110", "130"))
    assert found(mined) == ["130"]


def test_negatives_are_of_the_modality_that_is_wanted(tmp_path: Path) -> None:
    crowd = [*texts("40"), Item(images=("50",)), Item(text="60", images=("x",))]
    plain, image = pair("0", "20"), pair("0 again", "20", target_modal="image")
    fused = pair("0 more", "20", target_modal="text,image")
    by_rule = [
        [found(mined) for mined in run([plain, image, fused], rule, tmp_path, crowd)]
        for rule in (Rule(), Rule(any_modality=True))
    ]
    assert by_rule[0] == [["40"], ["50"], ["60"]]
    assert by_rule[1] == [["40", "50", "60"]] * 3


def test_pictures_with_words_that_are_wanted_as_pictures_are_found_as_such(
    tmp_path: Path,
) -> None:
    """As MMEB has them: the words say what to do with the picture, the picture is wanted."""
    rows = [
        {
            "query": {"text": f"{angle} q"},
            "candidate": {"text": f"{angle} represent it", "image": "x"},
            "target_modal": "image",
        }
        for angle in (0, 20, 40)
    ]
    mined = run([parse_pair(row) for row in rows], Rule(margin=-2), tmp_path,
                [Item(text="10", images=("y",)), Item(text="12")])  # fmt: skip
    assert found(mined[0]) == ["10", "20 represent it", "40 represent it"]


def test_negatives_of_a_pair_come_first_and_are_not_found_again(tmp_path: Path) -> None:
    own = pair("0", "20", negative=[{"text": "60"}, {"text": "10"}], negative_id=["x", "y"])
    (mined,) = run([own], Rule(k=2), tmp_path, CROWD)
    assert found(mined) == ["60", "10", "30", "90"]
    hashes = [content_id(item) for item in texts("30", "90")]
    assert mined.pair.negative_ids == ("x", "y", *hashes)
    assert mined.pair.negative_also_ids == ()
    assert mined.refused == 3


def test_the_ids_of_what_is_found_are_those_of_its_pair(tmp_path: Path) -> None:
    pairs = [
        pair("0", "20", negative={"text": "99"}, negative_id="z"),
        pair("1", "30", candidate_id="fine", candidate_also_id="coarse"),
        pair("2", "40", candidate_id="forty"),
    ]
    mined = run(pairs, Rule(), tmp_path)[0].pair
    assert mined.negative_ids == ("z", "fine", "forty")
    assert mined.negative_also_ids == ("z", "coarse", "forty")


def test_answers_of_a_pair_that_cannot_be_embedded_still_count(tmp_path: Path) -> None:
    """Its query is bad, but it tells that 30 is another answer of query 1."""
    pairs = [pair("0", "20", query_id="1"), pair("bad", "30", query_id="1"), pair("5", "bad")]
    mined = run(pairs, Rule(), tmp_path, texts("30", "60"))
    assert found(mined[0]) == ["60"]
    assert mined[1].error == "The query cannot be embedded: it spins"
    assert mined[2].error == "The candidate cannot be embedded: it spins"
    assert [part.pair for part in mined[1:]] == pairs[1:]


def test_copies_of_the_positive_need_a_margin(tmp_path: Path) -> None:
    crowd = texts("20 b", "20 a", "-20")
    (strict,) = run([pair("0", "20")], Rule(), tmp_path, crowd)
    assert (found(strict), strict.refused) == ([], 3)
    (mined,) = run([pair("0", "20")], Rule(margin=0.0), tmp_path, crowd)
    assert found(mined) == [item.text for item in sorted(crowd, key=content_id)]


def many(seed: int) -> tuple[list[Pair], list[Item], dict[str, Embedding]]:
    """Pairs of all modalities with shared queries, shared meanings, doubles and bad items."""
    draw = random.Random(seed)

    def item(name: str) -> Item:
        kind = draw.choice(["text", "image", "video", "text+image"])
        return Item(
            text=name if "text" in kind else None,
            images=(name,) if "image" in kind else (),
            videos=(Clip(name),) if "video" in kind else (),
        )

    sides = [item(f"{n}") for n in range(60)]
    pairs = []
    for n in range(50):
        query, candidate, negative = (draw.choice(sides) for _ in range(3))
        meaning = draw.choice([f"m{draw.randrange(30)}", content_id(candidate)])
        has = n % 5 == 0
        pairs.append(
            Pair(
                query=query,
                candidate=candidate,
                negatives=(negative,) if has else (),
                target_modality=draw.choice([candidate.modality, Modality.TEXT]),
                query_id=f"q{draw.randrange(40)}",
                candidate_id=meaning,
                negative_ids=(f"m{draw.randrange(30)}",) if has else (),
                source="many",
                candidate_also_id=draw.choice([None, f"m{draw.randrange(30)}"]),
            )
        )
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (60, 6)).astype(np.float32) + np.float32(0.25)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings = {
        content_id(side): Embedding(None, error="bad") if n % 20 == 7 else Embedding(vectors[n])
        for n, side in enumerate(sides)
    }
    return pairs, sides[::3], embeddings


def by_the_book(
    pairs: list[Pair], extra: list[Item], embeddings: dict[str, Embedding], rule: Rule
) -> list[tuple[list[Item], int] | None]:
    """The rule, a candidate at a time."""

    def vector(item: Item) -> Vector | None:
        return embeddings[content_id(item)].vector

    corpus = {content_id(item): item for item in [*(p.candidate for p in pairs), *extra]}

    def meanings(name: str) -> set[str | None]:
        given: set[str | None] = {name}
        for other in pairs:
            if content_id(other.candidate) == name:
                given |= {other.candidate_id, other.candidate_also_id}
            if name in map(content_id, other.negatives):
                given |= set(other.negative_ids)
        return given - {None}

    def answered(item: Item) -> Modality:
        alike = [p for p in pairs if p.candidate.modality == item.modality]
        same = [p for p in alike if content_id(p.candidate) == content_id(item)]
        wanted = {p.target_modality for p in same or alike}
        return wanted.pop() if len(wanted) == 1 else item.modality

    results: list[tuple[list[Item], int] | None] = []
    for own in pairs:
        query, positive = vector(own.query), vector(own.candidate)
        if query is None or positive is None:
            results.append(None)
            continue
        answers = {
            other.candidate_id
            for other in pairs
            if other.query_id == own.query_id or other.query == own.query
        }
        known_as = {own.query_id, *meanings(content_id(own.query))}
        asking = [other.query for other in pairs if other.candidate_id in known_as]
        limit = rule.limit(cosine(query, positive))
        ranked = []
        for name, item in corpus.items():
            there = vector(item)
            if (
                there is not None
                and item not in (own.query, *own.negatives, *asking)
                and not meanings(name) & answers
                and (rule.any_modality or answered(item) == own.target_modality)
            ):
                ranked.append((-cosine(query, there), name, item))
        ranked = sorted(ranked, key=lambda row: row[:2])[rule.skip :]
        fit = [item for score, _, item in ranked if -score <= limit]
        results.append((fit[: rule.k], len(ranked) - len(fit)))
    return results


RULES = [
    Rule(k=3),
    Rule(k=2, margin=0.0, skip=2),
    Rule(k=5, relative=0.8, any_modality=True),
    Rule(k=60, margin=0.3, skip=1, any_modality=True),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_rule_says(seed: int, rule: Rule) -> None:
    pairs, extra, embeddings = many(seed)
    book = by_the_book(pairs, extra, embeddings, rule)
    mined = mine(pairs, extra, embeddings, rule)
    assert sum(want is not None and len(want[0]) > 0 for want in book) > 10
    for own, part, want in zip(pairs, mined, book, strict=True):
        if want is None:
            assert (part.pair, part.scores) == (own, ())
            assert part.error is not None
        else:
            added = part.pair.negatives[len(own.negatives) :]
            assert (list(added), part.refused) == want
            assert len(part.pair.negative_ids) == len(part.pair.negatives)
            assert list(part.scores) == sorted(part.scores, reverse=True)


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_corpus_and_pairs_changes_nothing(rule: Rule) -> None:
    pairs, extra, embeddings = many(5)
    mined = mine(pairs, extra, embeddings, rule)
    order = random.Random(0).sample(range(len(pairs)), len(pairs))
    shuffled = mine([pairs[n] for n in order], extra[::-1] + extra, embeddings, rule)
    for n, part in zip(order, shuffled, strict=True):
        # Of an item with three ids those two are written that are read first.
        assert part.pair.negatives == mined[n].pair.negatives
        assert part.scores == mined[n].scores
        assert part.refused == mined[n].refused


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, extra, embeddings = many(2)
    whole = mine(pairs, extra, embeddings, ANY)
    for block in (1, 100, 3000):
        monkeypatch.setattr("unite.training.mining.BLOCK", block)
        assert repr(mine(pairs, extra, embeddings, ANY)) == repr(whole)  # nan is not nan
    assert BLOCK > 3000


def test_no_block_of_scores_is_larger_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 scores at once where a full matrix would have 2.4 million."""
    import unite.training.mining as module

    monkeypatch.setattr(module, "BLOCK", 10_000)
    stacked: list[int] = []
    stack = np.stack

    def watched(rows: Sequence[Vector]) -> Any:
        stacked.append(len(rows))
        return stack(rows)

    pairs = [pair(f"query {n}", f"text {n}") for n in range(600)]
    extra = texts(*(f"more {n}" for n in range(3400)))
    sides = [side for part in pairs for side in (part.query, part.candidate)]
    items = [*sides, *extra]
    results = zip(items, FakeEncoder().embed(items), strict=True)
    embeddings = {content_id(item): result for item, result in results}
    monkeypatch.setattr(module.np, "stack", watched)
    mined = mine(pairs, extra, embeddings, Rule(k=2, margin=0.0))
    assert stacked[0] == 4000  # the corpus
    assert set(stacked[1:]) == {2}
    assert sum(len(part.scores) for part in mined) > 1000


def test_progress_counts_pairs_that_are_ranked() -> None:
    pairs, extra, embeddings = many(1)
    seen: list[tuple[int, int]] = []
    mined = mine(pairs, extra, embeddings, ANY, lambda done, total: seen.append((done, total)))
    ready = sum(part.error is None for part in mined)
    assert seen == [(done, ready) for done in range(1, ready + 1)]


def test_it_needs_no_torch() -> None:
    code = "import sys, unite.training.mining, unite.training.embedded; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "unite.training.embedded" in loaded
    assert "torch" not in loaded


def test_the_summary_by_hand() -> None:
    one, two = pair("0", "20"), pair("1", "30")
    mined = [
        Mined(one, scores=(0.5, 0.3), positive=0.9, refused=4),
        Mined(one, scores=(0.2,), positive=0.4),
        Mined(two, positive=0.1, refused=1),
        Mined(two, error="bad"),
    ]
    summary = summarise(mined, 2, broken=2, items_failed=3)
    assert (summary.rows, summary.failed, summary.items_failed) == (6, 3, 3)
    assert (summary.queries, summary.negatives, summary.mean) == (2, 3, 1.0)
    assert summary.share_full == summary.share_none == pytest.approx(1 / 3)
    assert summary.median_gap == pytest.approx(0.4)
    assert (summary.refused, summary.share_refused) == (5, pytest.approx(2 / 3))


def test_the_summary_of_nothing() -> None:
    summary = summarise([], 7, broken=0, items_failed=0)
    assert (summary.rows, summary.negatives) == (0, 0)
    assert summary.mean is summary.share_full is summary.median_gap is None
