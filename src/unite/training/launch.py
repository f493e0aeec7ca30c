"""Several processes of one training run on one machine.

For more machines, torchrun or accelerate start `unite train` themselves; it recognises them
by the RANK they set. On one machine their summary of a failed child would bury the one line
that the user needs, so the processes are started here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import IO

from unite.errors import TrainingError

_POLL_SECONDS = 0.2
_LIFELINE = "UNITE_LIFELINE"


def launch(
    words: Sequence[str],
    processes: int,
    threads: int | None,
    *,
    program: Sequence[str] = ("unite.cli.main", "train"),
) -> None:
    """Run `unite train WORDS`, or another program, in several processes and wait for them.

    Args:
        words: The command line after the program.
        processes: How many; the first one shows progress and messages.
        threads: Threads of each; None leaves torch's own choice.
        program: A module, and the first words for it.

    Raises:
        TrainingError: One of them failed; the others were ended.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if threads is not None:
        shared["OMP_NUM_THREADS"] = str(threads)
    ranks = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    with ExitStack() as pipes:
        children = [pipes.enter_context(start([*program, *words], rank)) for rank in ranks]
        codes = _wait(children)
    if any(codes):
        raise TrainingError(
            f"Training stopped (exit codes {codes}).", "The reason stands above; mend it, --resume."
        )


def start(
    words: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of ours, which is to call `end_with_launcher`.

    Args:
        words: The module and its arguments.
        environment: Of the process.
        output: Where what it says goes; None: where what we say goes.
    """
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**environment, _LIFELINE: "1"},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
    )


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Exit codes of all; when one fails, or we are interrupted, the others are ended."""
    try:
        while any(child.poll() is None for child in children):
            if any(child.poll() for child in children):
                break
            time.sleep(_POLL_SECONDS)
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
    return [child.wait() for child in children]


def launched() -> bool:
    """Whether `launch` started this process, and speaks for it."""
    return _LIFELINE in os.environ


def end_with_launcher() -> None:
    """In a process that `launch` started: end when the launcher does, however it ends.

    Its end of our standard input closes even when it is killed.
    """
    if not launched():
        return

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
