"""Follow files and folders: index once, then again what changes, until told to stop.

The system's own notices (watchfiles) say where to look; what is done there is an ordinary run. A
whole run every few minutes finds what notices miss: folders behind links, shares of a network.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from unite.errors import LibraryError
from unite.library.ingest import Outcome, ingest
from unite.library.library import Library
from unite.library.progress import Progress
from unite.paths import absolute
from unite.types import Encoder

QUIET = 1000
"""Milliseconds without a change before it is looked; a file that is being copied changes often."""

LONGEST = 10_000
"""Milliseconds after which it is looked although changes go on."""

WHOLE = 600.0
"""Seconds between two runs over everything."""

FOLDERS = 50
"""Changes in more folders than this are left to a run over everything."""

RETRY = 5.0
"""Seconds to wait after a refusal."""

_GLANCE = 500  # milliseconds between two looks whether it is time or somebody wants an end


def watch(
    library: Library,
    paths: Sequence[Path],
    encoder: Encoder,
    *,
    workers: int = 0,
    on_outcome: Callable[[Outcome], None],
    on_refusal: Callable[[LibraryError], None],
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Index, and keep up to date until interrupted; SIGTERM is an interrupt too.

    The library is locked for each run only, so that others may write between two.

    Args:
        library: The library.
        paths: Files and folders.
        encoder: The library's model.
        workers: As for `ingest`.
        on_outcome: Called after each run.
        on_refusal: Called when a run is refused, because another process writes or a path is not
            there for the moment; it is tried again.
        on_progress: As for `ingest`.

    Raises:
        LibraryError: The first run is refused.
    """
    roots = [absolute(path) for path in paths]
    waiting: set[str] = set()
    due = began = time.monotonic()
    with _terminable() as told, suppress(KeyboardInterrupt):
        for changed in _changes(roots, library.own_paths):
            if told.is_set():
                break
            waiting |= changed
            whole = time.monotonic() >= due
            wanted = _wanted(waiting, roots, whole=whole)
            if not wanted:
                continue
            try:
                outcome = ingest(library, wanted, encoder, workers=workers, on_progress=on_progress)
            except LibraryError as error:
                if due == began:
                    raise
                on_refusal(error)
                time.sleep(RETRY)
                continue
            waiting.clear()
            if whole:
                due = time.monotonic() + WHOLE
            on_outcome(outcome)


def _changes(roots: Sequence[str], own: Iterable[str]) -> Iterator[set[str]]:
    """Give paths that changed as soon as there is a pause, and twice a second none."""
    from watchfiles import watch as notices

    ours = _Ours(own)
    folders = {root if Path(root).is_dir() else str(Path(root).parent) for root in roots}
    for changes in notices(
        *folders,
        watch_filter=lambda _, path: not ours(path),
        debounce=LONGEST,
        step=QUIET,
        rust_timeout=_GLANCE,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        yield {path for _, path in changes}


def _wanted(changed: Iterable[str], roots: Sequence[str], *, whole: bool) -> list[Path]:
    """What is to be indexed: everything when it is time, else the folders of what changed."""
    folders = folders_of(changed, roots)
    names = roots if whole or len(folders) > FOLDERS else folders
    return [Path(name) for name in names]


class _Ours:
    """Whether a path is the library's own, a draft of one, or hidden: a scan passes over it.

    Links are resolved, as a notice comes under the name that is followed: a run that took its own
    files for others would start the next one.
    """

    def __init__(self, own: Iterable[str]) -> None:
        self._own = tuple(map(os.path.realpath, own))
        self._drafts = tuple(path + sign for path in self._own for sign in (os.sep, "."))

    def __call__(self, path: str) -> bool:
        if os.path.basename(path).startswith("."):  # noqa: PTH119 - for every notice
            return True
        path = os.path.realpath(path)
        return path in self._own or path.startswith(self._drafts)


def folders_of(changed: Iterable[str], roots: Sequence[str]) -> list[str]:
    """The folders beneath the roots to be looked at, none within another; files given as roots.

    Args:
        changed: Paths that changed, appeared or vanished.
        roots: Absolute paths that are followed.
    """
    found: set[str] = set()
    for path in changed:
        for root in roots:
            if path == root:
                found.add(root)
            elif path.startswith(root + os.sep):
                found.add(_there(os.path.dirname(path), root))  # noqa: PTH120 - names only
    there = sorted(path for path in found if Path(path).exists())
    return [
        path
        for number, path in enumerate(there)
        if not any(path.startswith(above + os.sep) for above in there[:number])
    ]


def _there(folder: str, root: str) -> str:
    """The nearest folder that exists, no higher than the root."""
    while folder != root and not Path(folder).is_dir():
        folder = os.path.dirname(folder)  # noqa: PTH120 - names only
    return folder


@contextmanager
def _terminable() -> Iterator[threading.Event]:
    """Let SIGTERM interrupt as Ctrl-C does, for the length of a block.

    The interrupt may be raised where somebody else's code drops it, so the event tells it too.
    """
    told = threading.Event()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        told.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
