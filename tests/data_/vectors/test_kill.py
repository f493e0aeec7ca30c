"""Stopped at any step, and killed at any moment, the same command gives what an unbroken one does."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unite.data.items import read_items
from unite.data.vectors import Output, embed_file, retry_failed
from unite.data.vectors.parts import part_paths
from unite.data.vectors.table import read_facts

from .conftest import contents, left_over
from .fakes import SMALL, Fake, kind, lines, rows

COUNT = 300


class KilledError(BaseException):
    """Nothing catches it."""


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Every change of a file's name or being is a step; this one does not happen any more."""
    import os
    import shutil

    left = [step]

    def guarded(change: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return change(*given, **named)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "rename", "unlink", "mkdir"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        patch.setattr(os, "fsync", guarded(os.fsync))
        patch.setattr(shutil, "rmtree", guarded(shutil.rmtree))
        yield


def held(folder: Path) -> int:
    return sum(read_facts(path).rows for path in part_paths(folder))


@pytest.mark.parametrize("verb", ["embed", "retry", "restart"])
def test_stopped_at_each_step_in_turn(output: Output, verb: str) -> None:
    few = rows(36)

    def run(encoder: Fake) -> None:
        if verb == "retry":
            retry_failed(output, few, encoder, kind(), cadence=SMALL)
        else:
            embed_file(output, few, encoder, kind(), cadence=SMALL, restart=verb == "restart")

    for step in count():
        if verb != "embed":
            embed_file(output, few, Fake(), kind(), cadence=SMALL, restart=True)
        else:
            output.discard()
            for path in output.files():
                path.unlink(missing_ok=True)
        try:
            with killed_at(step):
                run(Fake(healed=True))
        except KilledError:
            done = {row.id for row in few[: held(output.parts)]} if verb == "embed" else set()
            again = Fake(healed=True)
            run(again)
            assert not done & set(again.seen)
            ended = False
        else:
            ended = True
        found = contents(output)
        assert [row["id"] for row in found] == [row.id for row in few]
        reasons = {row["error"] for row in found if row["error"]}
        assert all("ever" in reason or reason == "no item" for reason in reasons)
        assert left_over(output) == []
        if ended:
            break
    assert step > 5


def start(source: Path, output: Output, verb: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.data_.vectors.fakes", source, output.path, verb]
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)


def kill(source: Path, output: Output, verb: str, dice: random.Random) -> None:
    """Kill it after a number of rows, or about when it puts the file together."""
    stop = dice.randrange(COUNT) if dice.random() < 0.7 else COUNT
    with start(source, output, verb) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split()[0] == "row" and int(line.split()[1]) >= stop:
                break
        time.sleep(dice.random() * 0.02)
        process.send_signal(signal.SIGKILL)


def cycle(source: Path, output: Output, seed: int) -> None:
    dice = random.Random(seed)
    for verb in ("embed", "retry"):
        kill(source, output, verb, dice)
        journal = output.parts if verb == "embed" else output.retried
        rows_held = held(journal)
        done = {row.id for row in rows(rows_held)} if verb == "embed" else set()
        with start(source, output, verb) as process:
            told = process.communicate(timeout=200)[0].splitlines()
        assert process.returncode == 0
        saw = [line.split()[1] for line in told if line.startswith("saw")]
        assert not done & set(saw)
        if verb == "embed":
            missing = {row.id for row in rows(COUNT)[rows_held:]}
            assert set(saw) <= missing


def whole(source: Path, path: Path) -> Output:
    """An unbroken run, and what failed in it tried again."""
    output = Output.at(path)
    embed_file(output, read_items(source), Fake(), kind(), cadence=SMALL)
    retry_failed(output, read_items(source), Fake(healed=True), kind(), cadence=SMALL)
    return output


def check(tmp_path: Path, name: str, seeds: range) -> None:
    source = tmp_path / "items.jsonl"
    source.write_text(lines(COUNT))
    wanted = contents(whole(source, tmp_path / "whole.parquet"))
    assert sum(row["error"] is not None for row in wanted) > 20
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        output = Output.at(folder / name)
        cycle(source, output, seed)
        found = contents(output)
        for key in ("id", "modality", "error", "note"):
            assert [row[key] for row in found] == [row[key] for row in wanted]
        for row, other in zip(found, wanted, strict=True):
            if other["embedding"] is not None:
                np.testing.assert_allclose(row["embedding"], other["embedding"], atol=1e-6)
            else:
                assert row["embedding"] is None
        assert left_over(output) == []


@pytest.mark.parametrize(("name", "seed"), [("v.parquet", 1), ("v", 2)])
def test_killed_and_begun_again(tmp_path: Path, name: str, seed: int) -> None:
    check(tmp_path, name, range(seed, seed + 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v.parquet", "v"])
def test_killed_and_begun_again_twenty_times(tmp_path: Path, name: str) -> None:
    check(tmp_path, name, range(100, 120))
