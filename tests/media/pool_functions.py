"""What the workers of `test_pool.py` do: they import it by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from unite.errors import TooLongError

prepared: list[int] = []


def prepare() -> None:
    prepared.append(os.getpid())


def refuse_to_start() -> None:
    raise RuntimeError("no")


def work(order: str) -> str:
    """Do as the order says: ``slow``, ``kill``, ``hang``, ``refuse``, ``bug``, or give it back."""
    word, _, rest = order.partition(" ")
    if word == "slow":
        time.sleep(0.2)
    elif word == "kill":
        time.sleep(0.1)  # a decoder dies of what it has read, never in its first instant
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "exit":
        time.sleep(0.1)
        os._exit(7)
    elif word == "hang":
        while True:
            pass
    elif word == "refuse":
        raise TooLongError(f"{rest} is too long.", "Shorten it.")
    elif word == "memory":
        raise MemoryError
    elif word == "bug":
        raise KeyError(rest)
    elif word == "timeout":
        raise TimeoutError("of the function itself")
    elif word == "who":
        return f"{os.getpid()} {prepared == [os.getpid()]}"
    return order


def hang_beside(path: str) -> None:
    """Say who I am, then never end."""
    Path(path).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        time.sleep(0.01)
