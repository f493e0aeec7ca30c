"""Which files lie beneath the given paths: their kind, size and time, without opening them."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unite.errors import LibraryError
from unite.media.suffixes import IMAGES, TEXTS, VIDEOS


class Kind(enum.StrEnum):
    """What a file is read as."""

    IMAGE = "image"
    VIDEO = "video"
    TEXT = "text"
    ITEMS = "items"


SUFFIXES = {
    Kind.IMAGE: IMAGES,
    Kind.VIDEO: VIDEOS,
    Kind.TEXT: TEXTS,
    Kind.ITEMS: frozenset((".jsonl",)),
}
_KINDS = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be indexed, as the file system describes it."""

    path: str
    kind: Kind
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Scan:
    """What lies beneath the given paths.

    Attributes:
        roots: The given paths, absolute.
        sources: Files that can be indexed, by path.
        failed: Files of a supported kind, and folders, that cannot be read, with the reason.
        notes: What a reader should know although nothing is lost, by path.
        skipped: Files of an unsupported kind.
    """

    roots: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def covers(self, path: str) -> bool:
        """Whether a path is one of the roots or lies beneath one."""
        return any(path == root or path.startswith(_beneath(root)) for root in self.roots)


def kind_of(path: str) -> Kind | None:
    """The kind that a file's name stands for, or None."""
    return _KINDS.get(Path(path).suffix.lower())


def scan(paths: Sequence[Path], leave_out: Collection[str] = ()) -> Scan:
    """Walk files and folders in the order of their names.

    Symbolic links are followed; one that leads back to a folder above it is noted and left.
    Names that begin with a dot and item files are passed over unless they are given themselves.

    Args:
        paths: Files and folders.
        leave_out: Absolute paths to pass over, such as the library's own.

    Raises:
        LibraryError: A given path does not exist.
    """
    found = Scan()
    for path in paths:
        root = os.path.normpath(path.expanduser().absolute())
        if not os.path.lexists(root):
            raise LibraryError(
                f"{path} does not exist.",
                "Nothing was indexed. To drop what was deleted, index the folder above it.",
            )
        found.roots.append(root)
        if Path(root).is_dir():
            _walk(root, found, leave_out)
        else:
            _file(root, found)
    found.skipped -= found.sources.keys()
    return found


def is_gone(path: str) -> bool:
    """Whether a file certainly exists no more; one that cannot be reached may still exist."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _walk(root: str, found: Scan, leave_out: Collection[str]) -> None:
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [(root, ())]
    while waiting:
        folder, above = waiting.pop()
        try:
            facts = Path(folder).stat()
            here = (facts.st_dev, facts.st_ino)
            if here in above:
                found.notes[folder] = "leads back to a folder above it"
                continue
            folders, files = _entries(folder, leave_out)
        except OSError as error:
            found.failed[folder] = _reason(error)
            continue
        for path in files:
            _file(path, found, listed=False)
        waiting.extend((path, (*above, here)) for path in reversed(folders))


def _entries(folder: str, leave_out: Collection[str]) -> tuple[list[str], list[str]]:
    """Folders and other entries, each sorted; hidden ones are left out."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.path not in leave_out:
                (folders if _is_folder(entry) else files).append(entry.path)
    return folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: reading it as a file tells the reason
        return False


def _file(path: str, found: Scan, *, listed: bool = True) -> None:
    """Add one file; item files count only where they are given themselves."""
    kind = kind_of(path)
    if kind is None or (kind is Kind.ITEMS and not listed):
        found.skipped.add(path)
        return
    try:
        path.encode()
        facts = Path(path).stat()
    except UnicodeEncodeError:
        readable = path.encode(errors="backslashreplace").decode()
        found.failed[readable] = "its name is not valid UTF-8; rename it"
    except OSError as error:
        found.failed[path] = _reason(error)
    else:
        if stat.S_ISREG(facts.st_mode):
            found.sources[path] = Source(path, kind, facts.st_size, facts.st_mtime_ns)
        else:
            found.skipped.add(path)


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _beneath(root: str) -> str:
    return root if root.endswith(os.sep) else root + os.sep
