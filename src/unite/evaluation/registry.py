"""All benchmarks by name, and the suites they make up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from unite.errors import DataError, did_you_mean
from unite.evaluation.facts import Benchmark
from unite.evaluation.task import Task
from unite.evaluation.tasks import (
    carebench,
    didemo,
    docci,
    flickr30k,
    mmeb,
    mscoco,
    msrvtt,
    msvd,
    sharegpt4v,
    urban1k,
    webvid_covr,
    world,
)

BENCHMARKS: tuple[Benchmark, ...] = tuple(
    benchmark
    for module in (
        flickr30k, mscoco, sharegpt4v, urban1k, docci,
        msrvtt, msvd, didemo, carebench, webvid_covr, mmeb, world,
    )
    for benchmark in module.BENCHMARKS
)  # fmt: skip
SUITES = tuple(dict.fromkeys(benchmark.suite for benchmark in BENCHMARKS))
_BY_NAME = {benchmark.name: benchmark for benchmark in BENCHMARKS}


class Reader(Protocol):
    """What every module of `unite.evaluation.readers` offers."""

    @staticmethod
    def read(benchmark: Benchmark, root: Path) -> list[Task]:
        """Read the tasks of a benchmark from its folder."""
        ...


def benchmark_named(name: str) -> Benchmark:
    """The benchmark of a name.

    Raises:
        DataError: There is none.
    """
    if name not in _BY_NAME:
        raise DataError(f"There is no benchmark {name!r}.", did_you_mean(name, _BY_NAME))
    return _BY_NAME[name]


def select(names: Iterable[str]) -> list[Benchmark]:
    """The benchmarks of suites and single names, each once, in the order of the registry.

    Args:
        names: Suites, groups of MMEB as ``mmeb:vqa``, and benchmarks.

    Raises:
        DataError: A name is none of them.
    """
    chosen: set[str] = set()
    groups = {f"mmeb:{group}" for group in mmeb.GROUPS}
    for name in names:
        found = [
            benchmark.name
            for benchmark in BENCHMARKS
            if name in (benchmark.suite, benchmark.name, f"{benchmark.suite}:{benchmark.group}")
        ]
        if not found:
            known = {*SUITES, *_BY_NAME, *groups}
            raise DataError(f"There is no suite or task {name!r}.", did_you_mean(name, known))
        chosen.update(found)
    return [benchmark for benchmark in BENCHMARKS if benchmark.name in chosen]


def read(benchmark: Benchmark, data: Path) -> list[Task]:
    """Read a benchmark's tasks.

    Args:
        benchmark: The benchmark.
        data: The data folder that holds the benchmarks' folders.

    Raises:
        DataError: Something is missing or is not as published.
    """
    root = benchmark.require(data).absolute()  # a saved run is read from anywhere
    module = import_module(f"unite.evaluation.readers.{benchmark.reader}")
    tasks = cast(Reader, module).read(benchmark, root)
    return _checked(tasks, benchmark)


def read_all(benchmarks: Sequence[Benchmark], data: Path) -> list[Task]:
    """Read the tasks of several benchmarks, one after the other.

    Raises:
        DataError: One is missing, all of which are named at once, or is not as published.
    """
    missing = [benchmark for benchmark in benchmarks if benchmark.missing(data)]
    if len(missing) > 1:
        names = ", ".join(benchmark.name for benchmark in missing)
        raise DataError(
            f"{len(missing)} of {len(benchmarks)} benchmarks are not in {data}: {names}.",
            f"What to get, from where: unite eval list {missing[0].name} --data {data}",
        )
    return [task for benchmark in benchmarks for task in read(benchmark, data)]


def _checked(tasks: Sequence[Task], benchmark: Benchmark) -> list[Task]:
    empty = [task.name for task in tasks if not task.queries or not task.candidates]
    if empty or not tasks:
        raise DataError(
            f"{benchmark.title} holds no rows.", f"Is it the layout of {benchmark.source}?"
        )
    wrong = _misnamed(tasks, benchmark) or _wrong(tasks)
    if wrong is not None:
        raise DataError(f"{benchmark.title}: {wrong}.", f"Get it again from {benchmark.source}.")
    return list(tasks)


def _misnamed(tasks: Sequence[Task], benchmark: Benchmark) -> str | None:
    """Why a set's own task would pass for another benchmark's; None if it would not."""
    for task in tasks:
        known = task.name.partition("/")[0]
        if known in _BY_NAME and known != benchmark.name:
            return f"a task may not be called {task.name!r}, which is a benchmark's"
    return None


def _wrong(tasks: Sequence[Task]) -> str | None:
    """Why results of these tasks could not be told apart or counted; None if they can."""
    names = [(task.name, task.split) for task in tasks]
    if len(set(names)) < len(names):
        return f"two tasks have the same name: {max(names, key=names.count)}"
    for task in tasks:
        if not (_encodes(task.name) and _encodes(task.split)):
            return f"a name is no Unicode text: {task.split!r}, {task.name!r}"
        for what, items in (("queries", task.queries), ("candidates", task.candidates)):
            (often, count), *_ = Counter(item.id for item in items).most_common(1)
            if count > 1:
                return f"two {what} of {task.name} have the id {often!r}"
        for query, answers in zip(task.queries, task.positives, strict=True):
            if not answers:
                return f"nothing answers the query {query.id!r} of {task.name}"
        for item in task.items:
            if not _encodes(str(item.id)):
                return f"an id of {task.name} is no Unicode text: {item.id!r}"
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
