from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data_.sources.conftest import lines, picture, put, shard
from tests.data_.store_functions import rows_of

from unite.data.layout import INDEX, PARTS, read_index
from unite.data.mixture import kind_label
from unite.data.records import read_pairs
from unite.data.sources import Source
from unite.data.store import PairStore
from unite.errors import DataError


def row(number: int) -> dict[str, Any]:
    sides: list[dict[str, Any]] = [
        {"text": f"text {number}"}, {"image": f"{number}.png"},
        {"video": {"path": "v.mp4", "start": 1.5, "end": 2}}, {"image": ["a", "b"], "text": "é\u2028"},
    ]  # fmt: skip
    made = {"query": sides[number % 4], "candidate": sides[number // 4 % 4]}
    if number % 3 == 0:
        made["negative"] = [{"text": "n"}, {"video": "n.mp4"}]
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "one": put(tmp_path / "one.jsonl", lines(row(number) for number in range(40))),
        "none": put(tmp_path / "none.jsonl", ""),
        "two": put(
            tmp_path / "sub" / "two.jsonl",
            lines([row(5), {"query": {}, "candidate": {}}, row(6)]) + "{\n" + lines([row(7)]),
        ),
    }


def sources(files: dict[str, Path]) -> dict[str, Source]:
    return {name: Source(path=path) for name, path in files.items()}


def names(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


def test_rows_are_those_of_the_sources_one_after_the_other(
    files: dict[str, Path], tmp_path: Path
) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    whole = read_pairs(files["one"], "one")
    assert store.sizes == {"one": 40, "none": 0, "two": 3}
    assert store[:40] == whole
    assert list(store)[:40] == whole
    assert [pair.source for pair in store[40:]] == ["two"] * 3
    assert store[40].candidate.images == (str(tmp_path / "sub" / "5.png"),)
    assert store[-1] == store[42]
    assert [(left.source, left.number) for left in store.bad] == [("two", 2), ("two", 4)]
    assert "empty" in store.bad[0].reason
    assert "not JSON" in store.bad[1].reason
    for number in (43, -44):
        with pytest.raises(IndexError, match="the store has 43"):
            store[number]


def test_the_kinds_are_those_of_the_pairs(files: dict[str, Path], tmp_path: Path) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    expected = [int(pair.query.modality) * 8 + int(pair.target_modality) for pair in store]
    assert store.kind_N.tolist() == expected
    assert store.kind_N.dtype == np.uint8
    assert kind_label(expected[0]) == "text→text"


def test_what_has_not_changed_is_not_read_again(files: dict[str, Path], tmp_path: Path) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    again = PairStore.build(sources(files), tmp_path / "store")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    del before["store.lock"], after["store.lock"]
    assert before == after
    assert again.digest == store.digest == PairStore.open(tmp_path / "store").digest


def test_any_change_of_a_source_is_seen(files: dict[str, Path], tmp_path: Path) -> None:
    made = sources(files)
    digests = [PairStore.build(made, tmp_path / "store").digest]
    with files["none"].open("a") as file:
        file.write(lines([row(1)]))
    digests.append(PairStore.build(made, tmp_path / "store").digest)
    told = {**made, "one": Source(path=files["one"], instruction="find")}
    digests.append(PairStore.build(told, tmp_path / "store").digest)
    turned = dict(reversed(told.items()))
    digests.append(PairStore.build(turned, tmp_path / "store").digest)
    assert len(set(digests)) == 4
    store = PairStore.open(tmp_path / "store")
    assert list(store.sizes) == ["two", "none", "one"]
    assert len(names(tmp_path / "store")) == len(PARTS) + 2  # the index and the lock: no old files


def test_equal_content_has_an_equal_digest_wherever_the_store_lies(
    files: dict[str, Path], tmp_path: Path
) -> None:
    one = PairStore.build(sources(files), tmp_path / "a")
    os.utime(files["one"], ns=(1, 1))
    other = PairStore.build(sources(files), tmp_path / "b")
    assert one.digest == other.digest


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_goes_to_other_processes(files: dict[str, Path], tmp_path: Path, method: str) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    assert store[3] == pickle.loads(pickle.dumps(store))[3]  # now the file is open here
    with multiprocessing.get_context(method).Pool(1) as pool:
        process, rows = pool.apply(rows_of, (store,))
    assert process != os.getpid()
    assert rows == store[:]


def test_threads_share_a_store(files: dict[str, Path], tmp_path: Path) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    whole, wrong = store[:], []

    def work(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, len(store), 200).tolist():
            if store[number] != whole[number]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_store_built_anew_is_not_mistaken_for_the_old(
    files: dict[str, Path], tmp_path: Path
) -> None:
    store = PairStore.build(sources(files), tmp_path / "store")
    whole, sent = store[:], pickle.dumps(store)
    put(files["one"], lines([row(9)]))
    PairStore.build(sources(files), tmp_path / "store")
    assert store[:] == whole  # the open one goes on with what it had
    with pytest.raises(DataError, match="built anew"):
        pickle.loads(sent)


def test_a_damaged_store_is_refused_and_built_anew(files: dict[str, Path], tmp_path: Path) -> None:
    directory = tmp_path / "store"
    with pytest.raises(DataError, match="holds no store"):
        PairStore.open(directory)
    good = PairStore.build(sources(files), directory).digest
    (pairs,) = directory.glob("pairs-*.jsonl")
    pairs.write_bytes(pairs.read_bytes()[:50])
    with pytest.raises(DataError, match=r"damaged.*Remove it"):
        PairStore.open(directory)[30]
    pairs.unlink()
    assert PairStore.build(sources(files), directory).digest == good
    put(directory / INDEX, "{}")
    with pytest.raises(DataError, match="damaged"):
        PairStore.open(directory)


def test_progress_tells_rows_as_they_come(tmp_path: Path) -> None:
    path = put(tmp_path / "many.jsonl", lines(row(number) for number in range(2500)))
    told: list[tuple[int, int | None]] = []
    PairStore.build({"s": Source(path=path)}, tmp_path / "s", progress=lambda *at: told.append(at))
    assert told == [(1000, None), (2000, None), (2500, 2500)]


def test_media_in_shards_lie_within_the_store(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [("1.png", picture()), ("1.txt", b"t")])
    (pair,) = PairStore.build({"s": Source(path=path)}, tmp_path / "store")
    file = Path(str(pair.candidate.images[0]))
    assert file.is_relative_to(tmp_path / "store" / "media")
    assert file.read_bytes() == picture()


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["good", "bad", "torn"]), max_size=30), st.integers(0, 30))
def test_good_and_bad_rows_together_are_all_rows(
    tmp_path_factory: pytest.TempPathFactory, kinds: Sequence[str], split: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    forms = {"good": json.dumps(row(4)), "bad": '{"query": 1, "candidate": 2}', "torn": "{"}
    for name, part in (("a", kinds[:split]), ("b", kinds[split:])):
        put(folder / f"{name}.jsonl", "".join(f"{forms[kind]}\n" for kind in part))
    made = {name: Source(path=folder / f"{name}.jsonl") for name in "ab"}
    store = PairStore.build(made, folder / "store")
    assert len(store) + len(store.bad) == len(kinds)
    assert len(store) == kinds.count("good") == sum(store.sizes.values())


BUILDER = """
import sys
from pathlib import Path
from unite.data.sources import Source
from unite.data.store import PairStore
store = PairStore.build({"s": Source(path=Path(sys.argv[1]))}, Path(sys.argv[2]))
print(store.digest)
"""


def builder(path: Path, directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(path), str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    return put(folder / "long.jsonl", lines(row(number) for number in range(20_000)))


def test_a_builder_killed_at_any_point_leaves_nothing_half(long_file: Path, tmp_path: Path) -> None:
    whole = PairStore.build({"s": Source(path=long_file)}, tmp_path / "whole")
    directory = tmp_path / "killed"
    for delay in (0.0, 0.2, 0.5):
        process = builder(long_file, directory)
        while process.poll() is None and not list(directory.glob("*.partial")):
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        index = read_index(directory)
        assert index is None or index.digest == whole.digest  # it may have finished before
    store = PairStore.build({"s": Source(path=long_file)}, directory)
    assert store.digest == whole.digest
    assert store[::997] == whole[::997]
    assert not list(directory.glob("*.partial"))


def test_several_builders_at_once_make_one_store(long_file: Path, tmp_path: Path) -> None:
    processes = [builder(long_file, tmp_path / "store") for _ in range(3)]
    said = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert set(said) == {PairStore.open(tmp_path / "store").digest + "\n"}
    assert len(names(tmp_path / "store")) == len(PARTS) + 2
