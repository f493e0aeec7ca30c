"""Runs of a study carried out one after another or side by side, resumable at any point."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack

from unite.studies.node import FAILURE, LOG, Node, Run, write_json
from unite.training.launch import start

_POLL_SECONDS = 0.1
_INTERRUPTED = (130, -2, -15)

Progress = Callable[[int, int], None]


def nodes_of(runs: Iterable[Run]) -> list[Node]:
    """The distinct nodes of some runs, parents before children, scored if any run wants that."""
    found: dict[str, Node] = {}
    for run in runs:
        for node in run.nodes:
            name = node.folder.name
            if name not in found or node.scored:
                found[name] = node  # a dict keeps the place that a name had first
    return list(found.values())


def left(nodes: Sequence[Node]) -> list[Node]:
    """The nodes without a result, and those whose model these start from where it is not there.

    A node that no other starts from is wanted whether it is scored or not.

    A result alone is enough, so those of one machine count as done on another.

    Args:
        nodes: Parents before children.
    """
    found: list[Node] = []
    started: set[str] = set()
    parents = {node.parent.folder.name for node in nodes if node.parent is not None}
    for node in reversed(nodes):
        asked = node.scored or node.folder.name not in parents
        wanted = node.folder.name in started and not node.trained
        if wanted or (asked and not node.done):
            found.append(node)
            if node.parent is not None and not node.trained:
                started.add(node.parent.folder.name)
    return found[::-1]


def carry_out(
    nodes: Sequence[Node],
    *,
    jobs: int = 1,
    deadline: float = math.inf,
    progress: Progress = lambda done, total: None,
) -> None:
    """Do all work that is left; a node that fails is left with its reason, others go on.

    Args:
        nodes: What is wanted, parents before children.
        jobs: Processes side by side. With more than one, each run trains in a single process.
        deadline: When nothing more is begun, by `time.monotonic`; what runs then is finished.
        progress: Told the nodes done and all of them.
    """
    waiting = left(nodes)
    done = len(nodes) - len(waiting)
    running: dict[str, tuple[Node, subprocess.Popen[bytes]]] = {}
    with ExitStack() as stack:
        stack.callback(_end, running)
        progress(done, len(nodes))
        while running or (waiting and time.monotonic() < deadline):
            free = jobs - len(running) if time.monotonic() < deadline else 0
            for node in _ready(waiting, running)[:free]:
                waiting.remove(node)
                if (reason := _not_there(node)) is not None:
                    _fail(node, f"what it starts from failed: {reason}")
                    done += 1
                    progress(done, len(nodes))
                else:
                    _forget_failures(node, waiting)
                    running[node.folder.name] = (node, _begin(node, stack))
            for name, (node, child) in list(running.items()):
                if child.poll() is not None:
                    del running[name]
                    _close(child)
                    _settle(node, child.returncode)
                    done += 1
                    progress(done, len(nodes))
            if running:
                time.sleep(_POLL_SECONDS)


def _ready(waiting: Sequence[Node], running: Collection[str]) -> list[Node]:
    """The nodes that may begin: what they start from is there, not needed, or has failed by now."""
    pending = {*running, *(node.folder.name for node in waiting)}
    return [
        node
        for node in waiting
        if node.parent is None
        or node.trained
        or (
            node.parent.folder.name not in pending
            and (node.parent.reason() is not None or node.parent.model.exists())
        )
    ]


def _not_there(node: Node) -> str | None:
    """Why the model that a node starts from is not there; None if it is, or is not needed."""
    parent = node.parent
    return None if parent is None or parent.trained or node.trained else parent.reason()


def _forget_failures(node: Node, waiting: Sequence[Node]) -> None:
    """It is tried again, and with it what could not start from it."""
    (node.folder / FAILURE).unlink(missing_ok=True)
    for other in waiting:
        if other.parent is not None and other.parent.folder == node.folder:
            _forget_failures(other, waiting)


def _begin(node: Node, stack: ExitStack) -> subprocess.Popen[bytes]:
    node.write_spec()
    log = stack.enter_context((node.folder / LOG).open("ab"))
    return start(["unite.studies.work", str(node.folder)], dict(os.environ), log)


def _settle(node: Node, code: int) -> None:
    if code in _INTERRUPTED:
        raise KeyboardInterrupt
    if not (node.done and node.trained) and node.reason() is None:
        _fail(node, f"its process ended with code {code}: see {node.folder / LOG}")


def _fail(node: Node, reason: str) -> None:
    write_json(node.folder / FAILURE, {"error": reason})


def _end(running: Mapping[str, tuple[Node, subprocess.Popen[bytes]]]) -> None:
    for _, child in running.values():
        child.terminate()
    for _, child in running.values():
        _close(child)


def _close(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    child.wait()
