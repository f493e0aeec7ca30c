"""`unite data mine` on real files, with the model that the package ships."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from tests.cli.conftest import Unite
from tests.cli.media import write_picture
from typer.testing import CliRunner, Result

from unite.cli.mine import mine
from unite.data.records import content_id, read_pairs
from unite.embedder import Embedder
from unite.training.embedded import SHARD
from unite.types import Embedding, Item, Pair
from unite.world.build import build_world

SOURCES = ("ti_coarse", "ti_fine", "vt2v", "tt")


@pytest.fixture
def unite() -> Unite:
    """The verb alone: `unite(PAIRS, …)`."""
    app = typer.Typer()
    app.command()(mine)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mine") / "world"
    build_world(directory, 40, 11)
    return directory


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Content ids of all that is embedded from now on."""
    names: list[str] = []
    embed = Embedder.embed

    def watched(self: Embedder, items: Iterable[Item]) -> Iterator[Embedding]:
        listed = list(items)
        names.extend(map(content_id, listed))
        return embed(self, listed)

    monkeypatch.setattr(Embedder, "embed", watched)
    return names


def good(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.exception or result.output
    row: dict[str, Any] = json.loads(result.stdout)
    return row


def pairs_of(path: Path) -> list[Pair]:
    return read_pairs(path)


def meanings(pairs: Iterable[Pair]) -> dict[tuple[str, ...], set[str]]:
    """The ids that candidates have, by what they show."""
    found: dict[tuple[str, ...], set[str]] = {}
    for pair in pairs:
        ids = {pair.candidate_id, pair.candidate_also_id or pair.candidate_id}
        found.setdefault(shown(pair.candidate), set()).update(ids)
    return found


def shown(item: Item) -> tuple[str, ...]:
    paths = [str(ref) for ref in item.images] + [clip.path for clip in item.videos]
    return (item.text or "", *(str(Path(path).resolve()) for path in paths))


def test_the_small_world_end_to_end(
    unite: Unite, world: Path, tmp_path: Path, seen: list[str]
) -> None:
    files = [world / "train" / f"{source}.json" for source in SOURCES]
    before = [pair for file in files for pair in read_pairs(file)]
    out = tmp_path / "far" / "mined.jsonl"
    row = good(unite(*files, "-m", "mini", "-o", out, "-k", 5, "--json"))
    after = pairs_of(out)
    assert row["rows"] == len(before) == len(after)
    assert len(seen) == len(set(seen))
    assert [path.name for path in out.parent.iterdir()] == ["mined.jsonl"]
    known = meanings(before)
    counts = []
    for old, new in zip(before, after, strict=True):
        assert shown(old.query) == shown(new.query)
        assert shown(old.candidate) == shown(new.candidate)
        assert old.query.instruction == new.query.instruction
        for name in ("query_id", "candidate_id", "candidate_also_id", "target_modality", "source"):
            assert getattr(old, name) == getattr(new, name)
        own = len(old.negatives)
        assert [*map(shown, new.negatives[:own])] == [*map(shown, old.negatives)]
        assert new.negative_ids[:own] == old.negative_ids
        counts.append(len(new.negatives) - own)
        for item in new.negatives[own:]:
            assert item.modality == old.target_modality
            assert old.candidate_id not in known[shown(item)]
            assert shown(item) != shown(old.query)
        assert len(set(map(shown, new.negatives))) == len(new.negatives)
        also = new.negative_also_ids or new.negative_ids
        for item, *ids in list(zip(new.negatives, new.negative_ids, also, strict=True))[own:]:
            assert set(ids) == known[shown(item)]
    assert max(counts) == 5
    assert row["negatives"] == sum(counts)
    assert row["mean"] == pytest.approx(sum(counts) / len(before))
    assert row["share_full"] == pytest.approx(counts.count(5) / len(before))
    assert row["share_full"] > 0.5
    assert row["median_gap"] > 0.05
    media = [path for pair in after for item in pair.negatives for path in shown(item)[1:]]
    assert media
    assert all(Path(path).exists() for path in media)


@pytest.fixture
def broken(world: Path, tmp_path: Path) -> Path:
    """Good pairs, and one of every bad kind between them."""
    rows = json.loads((world / "train" / "ti_fine.json").read_text())[:12]
    for row in rows:
        row["candidate"]["image"] = os.path.relpath(
            world / "train" / row["candidate"]["image"], tmp_path
        )
    good_picture = write_picture(tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good_picture[:300])
    rows[3]["candidate"] = {"image": "cut.png"}
    rows[3]["negative"] = {"image": "good.png"}
    lines = [json.dumps(row) for row in rows]
    lines[5] = '{"query": {"text": "a"}, "candidate": {"text"'
    lines[7] = '{"query": {"text": "a"}, "candidat": {"text": "b"}}'
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_broken_row_keeps_its_place_and_costs_itself(unite: Unite, broken: Path) -> None:
    out, folder = broken.parent / "sub" / "out.jsonl", broken.parent
    lines = broken.read_text().splitlines()
    result = unite(broken, "-m", "mini", "-o", out, "-k", 2, "--margin", 0, "--json")
    assert result.exit_code == 3
    row = json.loads(result.stdout)
    assert (row["rows"], row["failed"], row["items_failed"]) == (12, 3, 0)
    assert "row 4: The candidate cannot be embedded" in result.stderr
    assert "cut.png" in result.stderr
    assert "row 6: Line 6 is not JSON" in result.stderr
    assert "row 8: " in result.stderr
    written = out.read_text().splitlines()
    assert len(written) == 12
    assert (written[5], written[7]) == (lines[5], lines[7])
    cut = json.loads(written[3])
    assert cut["candidate"] == {"image": "../cut.png"}
    assert cut["negative"] == [{"image": "../good.png"}]
    mended = out.with_name("mended.jsonl")
    mended.write_text("\n".join(written[n] for n in range(12) if n not in (5, 7)))
    pairs = read_pairs(mended)
    assert all(Path(path).exists() for pair in pairs for path in shown(pair.candidate)[1:])
    negatives = [item for pair in pairs for item in pair.negatives]
    assert len(negatives) > 8
    cut_path = str((folder / "cut.png").resolve())
    assert all(cut_path not in shown(item) for item in negatives)


def test_more_candidates_from_an_item_file(unite: Unite, broken: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "one.json"
    pairs.write_text(json.dumps([{"query": {"text": "a red star"}, "candidate": {"text": "x"}}]))
    items = tmp_path / "items" / "more.jsonl"
    items.parent.mkdir()
    write_picture(items.parent / "p.png")
    rows = [
        {"id": 1, "text": "a blue ring"}, {"id": "p", "image": "p.png"},
        {"id": "cut", "image": "../cut.png"}, {"id": "typo", "txt": 1}, {"text": "a red star"},
    ]  # fmt: skip
    items.write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out.jsonl"
    wide = ("--any-modality", "--relative-margin", 1.0, "--json")
    result = unite(pairs, "-m", "mini", "-o", out, "--corpus", items, *wide)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["items_failed"] == 2
    assert "corpus, cut: " in result.stderr
    assert "corpus, typo: " in result.stderr
    (row,) = map(json.loads, out.read_text().splitlines())
    sure = {"a blue ring", "items/p.png"}
    names = {side.get("text") or side["image"] for side in row.get("negative", [])}
    assert names <= sure
    assert len(names) + json.loads(result.stdout)["refused"] == 2
    assert all("id" not in side for side in row.get("negative", []))


def test_a_medium_is_one_item_whichever_way_it_is_named(unite: Unite, tmp_path: Path) -> None:
    """The positive, by another path: if it were another item, the margin would refuse it."""
    (tmp_path / "items").mkdir()
    write_picture(tmp_path / "items" / "p.png")
    pairs, items = tmp_path / "pairs.json", tmp_path / "items" / "more.jsonl"
    row = {"query": {"text": "a red star"}, "candidate": {"image": "items/p.png"}}
    pairs.write_text(json.dumps([row]))
    items.write_text('{"image": "../items/p.png"}\n')
    out = tmp_path / "out.jsonl"
    row = good(unite(pairs, "-m", "mini", "-o", out, "--corpus", items, "--json"))
    assert (row["negatives"], row["refused"]) == (0, 0)


def test_an_older_link_by_the_name_of_the_file_is_replaced(unite: Unite, tmp_path: Path) -> None:
    write_picture(tmp_path / "p.png")
    (tmp_path / "far" / "away").mkdir(parents=True)
    old, out = tmp_path / "far" / "away" / "old.jsonl", tmp_path / "out.jsonl"
    old.write_text("old\n")
    out.symlink_to(old)
    pairs = tmp_path / "pairs.json"
    pairs.write_text('[{"query": {"text": "a"}, "candidate": {"image": "p.png"}}]')
    good(unite(pairs, "-m", "mini", "-o", out, "--json"))
    assert old.read_text() == "old\n"
    assert Path(str(read_pairs(out)[0].candidate.images[0])).exists()


KILLED = """
import os, signal, sys
import typer
from unite.cli.mine import mine
from unite.embedder import Embedder
embed, given = Embedder.embed, []
def dying(self, items):
    for result in embed(self, items):
        if len(given) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        given.append(result)
        yield result
Embedder.embed = dying
app = typer.Typer()
app.command()(mine)
app(sys.argv[2:])
"""


def test_killed_and_run_again_it_gives_the_same_file(
    unite: Unite, world: Path, tmp_path: Path, seen: list[str]
) -> None:
    files = [str(world / "train" / f"{source}.json") for source in ("tt", "t2i", "v2t", "it2t")]
    options = ["-m", "mini", "--keep-cache", "--json"]
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    good(unite(*files, "-o", whole, *options))
    everything = list(seen)
    assert len(everything) > 2 * SHARD + 20
    words = [*files, "-o", str(killed), *options]
    process = subprocess.run([sys.executable, "-c", KILLED, str(2 * SHARD + 20), *words])
    assert process.returncode == -signal.SIGKILL
    assert not killed.exists()
    cached = shards(killed)
    assert len(cached) == 2 * SHARD
    seen.clear()
    good(unite(*words))
    assert seen == everything[2 * SHARD :]
    assert killed.read_bytes() == whole.read_bytes()
    assert shards(killed) == shards(whole)  # to the bit, though a process in between died
    seen.clear()
    good(unite(*files, "-o", killed, "-m", "mini", "--json"))
    assert seen == []
    assert killed.read_bytes() == whole.read_bytes()
    assert shards(killed) == shards(whole)  # it was to be kept


def test_a_cache_goes_with_the_run_unless_one_was_to_keep_it(unite: Unite, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.json", tmp_path / "out.jsonl"
    pairs.write_text('[{"query": {"text": "a"}, "candidate": {"text": "b"}}]')
    words = [pairs, "-o", out, "-m", "mini", "--json"]
    left = tmp_path / "out.jsonl.cache" / "a-model" / "left-by-a-broken-run.parquet"
    left.parent.mkdir(parents=True)
    left.touch()
    good(unite(*words))
    assert not left.exists()
    good(unite(*words, "--keep-cache"))
    kept = shards(out)
    assert len(kept) == 2
    good(unite(*words))
    assert shards(out) == kept


def shards(out: Path) -> dict[str, list[float]]:
    """All vectors in the cache of a file."""
    tables = map(pq.read_table, sorted(out.with_name(f"{out.name}.cache").rglob("*.parquet")))
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["key"]: row["embedding"] for row in rows}


def test_the_table_for_people(unite: Unite, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.json"
    rows = [
        {"query": {"text": f"a {word} star"}, "candidate": {"text": f"a star that is {word}"}}
        for word in ("red", "blue", "green", "white")
    ]
    pairs.write_text(json.dumps(rows))
    result = unite(pairs, "-m", "mini", "-o", tmp_path / "out.jsonl", "-k", 3, "--margin", 0)
    assert result.exit_code == 0
    assert str(tmp_path / "out.jsonl") in result.stdout.replace("\n", "")
    for words in ("rows", "queries", "pairs with 3", "pairs with none", "median", "refused"):
        assert words in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[1:])


def test_nothing_gives_nothing(unite: Unite, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    result = unite(tmp_path / "none.json", "-m", "mini", "-o", tmp_path / "out.jsonl")
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert "-" in result.stdout


def test_wrong_calls_are_refused_before_the_model_is_opened(unite: Unite, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"query": {"text": "a"}, "candidate": {"text": "b"}}\n')
    for words, reason in (
        ((pairs, "-o", tmp_path / "out.parquet"), ".jsonl"),
        ((pairs, "-o", pairs), "one of the files"),
        ((pairs, "-o", tmp_path / "o.jsonl", "--corpus", tmp_path / "o.jsonl"), "one of the"),
        ((pairs, "-o", tmp_path / "o.jsonl", "--margin", 0, "--relative-margin", 1), "Give one"),
        ((tmp_path / "none.json", "-o", tmp_path / "o.jsonl"), "none.json"),
    ):
        result = unite(*words, "-m", "no-such-model")
        assert result.exit_code == 1
        assert reason in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]
