"""Chunks come whole and in order; bad pairs are replaced, their neighbours are not."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.deadly import Deadly

from unite.data.mixture import Plan, plan_batches
from unite.data.sources import Source
from unite.data.store import PairStore
from unite.errors import DataError
from unite.media.source import Limits
from unite.model.checkpoint import load_model
from unite.model.cost import Costs
from unite.model.preprocess import Preprocessor
from unite.model.vision_cache import Sight
from unite.training.batches import PairCollator
from unite.training.feed import Feed
from unite.training.ledger import Ledger

ROWS = 12


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pairs of a text and a picture, each picture of another grey."""
    rows = []
    for number in range(ROWS):
        Image.new("RGB", (84, 84), (number * 20,) * 3).save(tmp_path / f"{number}.png")
        text = " ".join(["word"] * (number + 1))
        rows.append({"query": {"text": text}, "candidate": {"image": f"{number}.png"}})
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    return tmp_path


def feed(folder: Path, *, see: type[Sight] = Sight, share: float = 1.0, **options: Any) -> Feed:
    pairs = PairStore.build({"a": Source(path=folder / "pairs.json")}, folder / "store")
    model = load_model("mini")
    preprocessor = Preprocessor(model.tokenizer, model.policy)
    plan = plan_batches(pairs.sizes, pairs.kind_N, batch_size=4, steps=6, seed=0)
    return Feed(
        plan, pairs, pairs.kind_N, pairs.sizes, PairCollator(preprocessor), Costs(model.policy),
        Ledger(folder / "bad.jsonl", share), see(model.policy, Limits()), **options,
    )  # fmt: skip


def loaded(given: Feed, step: int) -> tuple[list[tuple[int, ...]], list[dict[str, Any]]]:
    parts = list(given.load(step, given.chunks(step)))
    return [part.rows for part in parts], [part.features for part in parts]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_step_gives_the_plans_rows_in_chunks_that_fit(pictures: Path, workers: int) -> None:
    with feed(pictures, chunk_tokens=100, workers=workers, seconds=60) as given:
        for step in range(3):
            rows, features = loaded(given, step)
            given.prepare(step + 1)
            assert sorted(row for chunk in rows for row in chunk) == given.plan.rows[step].tolist()
            assert len(rows) > 1
            for chunk, part in zip(rows, features, strict=True):
                assert part["side"].tolist() == [0, 1] * len(chunk)
                greys = [given.pairs[row].candidate.images[0] for row in chunk]
                values = part["patches_PK"].reshape(len(chunk), -1).mean(1)
                assert [int(Path(str(name)).stem) for name in greys] == list(chunk)
                assert (np.argsort(values.numpy()) == np.argsort(chunk)).all()
        given.prepare(len(given.plan.rows))  # beyond the end there is nothing to prepare


def test_a_medium_that_occurs_twice_in_a_chunk_is_there_once(pictures: Path) -> None:
    rows = json.loads((pictures / "pairs.json").read_text())
    for row in rows:
        row["candidate"]["image"] = "3.png"
    (pictures / "pairs.json").write_text(json.dumps(rows))
    _, (features,) = loaded(feed(pictures), 0)
    assert len(features["grids"]) == 1
    assert features["media"] == [0] * 4


def test_a_bad_pair_is_replaced_by_the_plans_next_and_its_neighbours_stay(pictures: Path) -> None:
    whole = feed(pictures)
    before, (features,) = loaded(whole, 0)
    bad = before[0][0]
    (pictures / f"{bad}.png").write_bytes(b"broken")
    given = feed(pictures)
    (rows,), (found,) = loaded(given, 0)
    assert [row for row in rows if row not in before[0]] == [rows[0]]
    assert rows[0] == next(row for row in given.plan.rows[1:].ravel() if row not in before[0])
    per = len(features["patches_PK"]) // 4
    for place in (1, 2, 3):
        part = slice(place * per, (place + 1) * per)
        assert torch.equal(found["patches_PK"][part], features["patches_PK"][part])
    (line,) = [json.loads(line) for line in (pictures / "bad.jsonl").read_text().splitlines()]
    assert (line["row"], line["filled_by"], line["step"]) == (bad, rows[0], 0)
    again, _ = loaded(feed(pictures), 0)
    assert again == [rows]  # the same one in a run that goes on


def test_a_pair_that_cannot_be_read_again_stops_the_run(pictures: Path) -> None:
    """Another in its place would get its gradients."""
    given = feed(pictures)
    (rows,), _ = loaded(given, 0)
    (pictures / f"{rows[0]}.png").unlink()
    with pytest.raises(DataError, match="cannot now"):
        list(given.load(0, [rows], again=True))


def test_two_bad_pairs_of_a_step_get_different_rows(pictures: Path) -> None:
    rows = loaded(feed(pictures), 0)[0][0]
    for row in rows[:2]:
        (pictures / f"{row}.png").unlink()
    (found,), _ = loaded(feed(pictures), 0)
    assert len(set(found)) == 4
    assert found[2:] == rows[2:]


def test_a_text_longer_than_the_model_takes_is_a_bad_sample(pictures: Path) -> None:
    rows = json.loads((pictures / "pairs.json").read_text())
    given = feed(pictures)
    bad = int(given.plan.rows[0][0])
    rows[bad]["query"]["text"] = "word " * 5000
    (pictures / "pairs.json").write_text(json.dumps(rows))
    (found,), _ = loaded(feed(pictures), 0)
    assert bad not in found
    assert "tokens" in json.loads((pictures / "bad.jsonl").read_text())["reason"]


@pytest.mark.parametrize("name", ["deadly", "endless"])
def test_a_file_that_kills_or_holds_its_decoder_costs_itself(pictures: Path, name: str) -> None:
    rows = json.loads((pictures / "pairs.json").read_text())
    bad = int(feed(pictures).plan.rows[0][2])
    (pictures / f"{bad}.png").rename(pictures / f"{name}.png")
    rows[bad]["candidate"]["image"] = f"{name}.png"
    (pictures / "pairs.json").write_text(json.dumps(rows))
    with feed(pictures, see=Deadly, workers=1, seconds=5) as given:
        (found,), _ = loaded(given, 0)
        plan: Plan = given.plan
    assert bad not in found
    assert len(set(found) & set(plan.rows[0].tolist())) == 3
    reason = json.loads((pictures / "bad.jsonl").read_text())["reason"]
    assert ("signal 9" if name == "deadly" else "timed out") in reason


def test_too_many_bad_samples_stop_the_run(pictures: Path) -> None:
    for row in range(6):
        (pictures / f"{row}.png").unlink()
    given = feed(pictures, share=0.02)
    with pytest.raises(DataError, match=r"at most 2\.0% may be bad"):
        list(map(partial(loaded, given), range(6)))


def test_where_nothing_of_a_kind_can_be_read_the_run_stops(pictures: Path) -> None:
    for row in range(ROWS):
        (pictures / f"{row}.png").unlink()
    with pytest.raises(DataError, match="none of its kind"):
        loaded(feed(pictures), 0)
