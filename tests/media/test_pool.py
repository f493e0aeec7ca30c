from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.media.pool_functions import prepare, refuse_to_start, work

from unite.errors import MediaError, TooLongError, UniteError
from unite.media.pool import Failure, WorkerPool


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool[str, str]]:
    with WorkerPool(work, workers=2, seconds=1.5, initialiser=prepare) as made:
        yield made


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 200
    while time.monotonic() < end and not condition():
        time.sleep(0.05)
    return condition()


def test_results_come_in_the_order_given(pool: WorkerPool[str, str]) -> None:
    given = ["slow 0", *(f"fast {number}" for number in range(1, 6))]
    assert list(pool.map(given, ahead=4)) == given


def test_a_worker_that_is_killed_or_hangs_costs_its_own_task_only(
    pool: WorkerPool[str, str],
) -> None:
    given = ["a", "kill", "b", "hang", "c", "exit", "d"]
    results = list(pool.map(given, ahead=3))
    assert [found for found in results if not isinstance(found, Failure)] == list("abcd")
    errors = {
        order: found.error
        for order, found in zip(given, results, strict=True)
        if isinstance(found, Failure)
    }
    assert "died (signal 9)" in str(errors["kill"])
    assert "timed out after 1.5 s" in str(errors["hang"])
    assert "died (exit code 7)" in str(errors["exit"])
    assert all(isinstance(error, MediaError) for error in errors.values())


def test_our_own_errors_come_through_whole(pool: WorkerPool[str, str]) -> None:
    (failure,) = pool.map(["refuse it"], ahead=0)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, TooLongError)
    assert (failure.error.message, failure.error.remedy) == ("it is too long.", "Shorten it.")
    with pytest.raises(TooLongError, match="it is too long"):
        pool.submit("refuse it").result()
    with pytest.raises(MediaError, match="memory"):
        pool.submit("memory").result()


def test_a_bug_surfaces(pool: WorkerPool[str, str]) -> None:
    with pytest.raises(KeyError, match="typo"):
        pool.submit("bug typo").result()
    with pytest.raises(KeyError):
        list(pool.map(["a", "bug x"], ahead=2))
    with pytest.raises(TimeoutError, match="of the function itself"):
        pool.submit("timeout").result()


def test_the_workers_are_other_processes_each_prepared_once(pool: WorkerPool[str, str]) -> None:
    answers = [str(answer).split() for answer in pool.map(["who"] * 6, ahead=6)]
    assert {prepared for _, prepared in answers} == {"True"}
    assert str(os.getpid()) not in {process for process, _ in answers}


@pytest.mark.parametrize("ahead", [0, 3])
def test_no_more_is_read_than_allowed(pool: WorkerPool[str, str], ahead: int) -> None:
    read = 0

    def given() -> Iterator[str]:
        nonlocal read
        for number in range(20):
            read += 1
            yield str(number)

    for done, _ in enumerate(pool.map(given(), ahead=ahead), 1):
        assert read <= done + ahead
    assert read == 20


def test_what_cannot_be_sent_is_refused_at_once(pool: WorkerPool[str, str]) -> None:
    with pytest.raises((AttributeError, TypeError)):
        pool.submit(lambda: None)  # type: ignore[arg-type]
    assert pool.submit("next").result() == "next"


def test_all_workers_killed_while_idle_are_replaced() -> None:
    with WorkerPool(work, workers=1, seconds=30) as pool:
        worker = int(pool.submit("who").result().split()[0])
        os.kill(worker, 9)
        assert wait_until(lambda: not lives(worker))
        assert list(pool.map(["a", "b", "c"], ahead=2)) == ["a", "b", "c"]
        assert pool.submit("who").result().split()[0] != str(worker)


def test_workers_that_cannot_start_are_no_endless_wait() -> None:
    with (
        WorkerPool(work, workers=1, seconds=5, initialiser=refuse_to_start) as pool,
        pytest.raises(UniteError, match="died 3 times before"),
    ):
        pool.submit("a").result()


def test_a_closed_pool_has_no_workers_and_takes_nothing() -> None:
    with WorkerPool(work, workers=1, seconds=None) as pool:
        worker = int(pool.submit("who").result().split()[0])
        pool.submit("hang")
    assert not lives(worker)
    with pytest.raises(ValueError, match="closed"):
        pool.submit("a")


def test_a_hanging_worker_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\n"
        "from tests.media.pool_functions import hang_beside\n"
        "from unite.media.pool import WorkerPool\n"
        "if __name__ == '__main__':\n"
        "    with WorkerPool(hang_beside, workers=1, seconds=None) as pool:\n"
        "        pool.submit(sys.argv[1]).result()\n"
    )
    told = tmp_path / "worker"
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(told)], env={**os.environ, "PYTHONPATH": root}
    )
    assert wait_until(lambda: told.exists() and bool(told.read_text()))
    worker = int(told.read_text())
    assert lives(worker)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not lives(worker))
