"""Which files lie beneath the given paths: their kind, size and time, without opening them.

A short `.txt` beside a picture or clip of the same stem is its caption, and no text of its own.
"""

from __future__ import annotations

import enum
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from unite.errors import LibraryError
from unite.media.source import changed_at
from unite.media.suffixes import IMAGES, TEXTS, VIDEOS
from unite.paths import absolute


class Kind(enum.StrEnum):
    """What a file is read as."""

    IMAGE = "image"
    VIDEO = "video"
    TEXT = "text"
    PDF = "pdf"
    ITEMS = "items"


SUFFIXES = {
    Kind.IMAGE: IMAGES,
    Kind.VIDEO: VIDEOS,
    Kind.TEXT: TEXTS,
    Kind.PDF: frozenset((".pdf",)),
    Kind.ITEMS: frozenset((".jsonl", ".csv")),
}
CAPTION = ".txt"
CAPTION_BYTES = 4096
"""A longer text beside a picture is a document."""

_KINDS = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}


@dataclass(frozen=True, slots=True)
class Caption:
    """A text that belongs to the file beside it, as the file system describes it."""

    path: str
    size: int
    mtime_ns: int

    @property
    def state(self) -> str:
        """What a record remembers of it, to see that it has changed."""
        return f"{self.size} {self.mtime_ns}"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be indexed, as the file system describes it, and its caption."""

    path: str
    kind: Kind
    size: int
    mtime_ns: int
    caption: Caption | None = None


@dataclass(slots=True)
class Scan:
    """What lies beneath the given paths.

    Attributes:
        roots: The given paths, absolute.
        sources: Files that can be indexed, by path.
        failed: Files of a supported kind, and folders, that cannot be read, with the reason.
        notes: What a reader should know although nothing is lost, by path.
        skipped: Files of an unsupported kind.
        captions: Texts that belong to files beside them.
        lost: Links that lead nowhere and may have led to folders.
        doubled: Links to folders that another link led to, and that one.
    """

    roots: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    captions: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    doubled: dict[str, str] = field(default_factory=dict)

    def covers(self, path: str) -> bool:
        """Whether a path is one of the roots or lies beneath one."""
        return any(path == root or _is_beneath(path, root) for root in self.roots)


def kind_of(path: str) -> Kind | None:
    """The kind that a file's name stands for, or None."""
    return _KINDS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - called for every file


def assert_all_there(paths: Sequence[Path]) -> None:
    """Refuse paths that do not exist.

    Raises:
        LibraryError: A given path does not exist, or is a link to a folder that does not.
    """
    for path in paths:
        place = absolute(path)
        if _leads_nowhere(place) and kind_of(place) is None:
            raise LibraryError(
                f"{path} is a link to {os.path.realpath(place)}, which is not there.",
                "Nothing was indexed. If it is on another drive, connect that; to drop what was"
                " there, remove the link and index the folder above it.",
            )
        if not os.path.lexists(place):
            raise LibraryError(
                f"{path} does not exist.",
                "Nothing was indexed. Check the path; to drop what was deleted, index the folder "
                "above it.",
            )


def scan(paths: Sequence[Path], leave_out: Collection[str] = ()) -> Scan:
    """Walk files and folders in the order of their names.

    Symbolic links are followed; one that leads back to a folder above it, or to one that another
    link led to, is noted and left.
    Names that begin with a dot and item files are passed over unless they are given themselves.

    Args:
        paths: Files and folders.
        leave_out: Absolute paths to pass over, such as the library's own.

    Raises:
        LibraryError: A given path does not exist.
    """
    assert_all_there(paths)
    found = Scan()
    siblings: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        root = absolute(path)
        found.roots.append(root)
        if Path(root).is_dir():
            _walk(root, found, leave_out)
        else:
            _file(root, found)
            for beside in _beside(root, siblings):
                _file(beside, found, listed=False)
    _caption(found)
    found.skipped -= found.sources.keys()
    return found


def is_gone(path: str) -> bool:
    """Whether a file certainly exists no more; one that cannot be reached may still exist.

    What took its name and is no file, such as a folder, is not it.
    """
    try:
        facts = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return not stat.S_ISREG(facts.st_mode)


def _walk(root: str, found: Scan, leave_out: Collection[str]) -> None:
    waiting: list[tuple[_Entry, tuple[tuple[int, int], ...]]] = [(_Entry(root), ())]
    linked: dict[tuple[int, int], str] = {}
    while waiting:
        (folder, is_link), above = waiting.pop()
        try:
            facts = Path(folder).stat()
            here = (facts.st_dev, facts.st_ino)
            if here in above:
                found.notes[folder] = "leads back to a folder above it"
                continue
            if is_link and here in linked:
                found.notes[folder] = "leads to a folder that another link led to"
                found.doubled[folder] = linked[here]
                continue
            if is_link:
                linked[here] = folder
            folders, files = _entries(folder, leave_out)
        except OSError as error:
            found.failed[folder] = _reason(error)
            continue
        for entry in files:
            _file(entry.path, found, listed=False)
            if entry.is_link and kind_of(entry.path) is None and _leads_nowhere(entry.path):
                found.lost.add(entry.path)
        waiting.extend((entry, (*above, here)) for entry in reversed(folders))


class _Entry(NamedTuple):
    path: str
    is_link: bool = False


def _entries(folder: str, leave_out: Collection[str]) -> tuple[list[_Entry], list[_Entry]]:
    """Folders and other entries, each sorted; hidden ones are left out."""
    folders: list[_Entry] = []
    files: list[_Entry] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.path not in leave_out:
                one = _Entry(entry.path, entry.is_symlink())
                (folders if _is_folder(entry) else files).append(one)
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
            found.sources[path] = Source(path, kind, facts.st_size, changed_at(facts))
        else:
            found.skipped.add(path)


def _beside(path: str, siblings: dict[str, dict[str, list[str]]]) -> list[str]:
    """Pictures, clips and captions of a given file's stem in its folder, which is listed once."""
    folder, name = os.path.split(path)
    if kind_of(path) not in (Kind.IMAGE, Kind.VIDEO) and not name.endswith(CAPTION):
        return []
    if folder not in siblings:
        siblings[folder] = defaultdict(list)
        try:
            others = os.listdir(folder)  # noqa: PTH208 - names are enough
        except OSError:  # a folder may let its files be opened and yet not be listed
            others = []
        for other in sorted(others):
            if kind_of(other) in (Kind.IMAGE, Kind.VIDEO) or other.endswith(CAPTION):
                siblings[folder][_stem(other)].append(other)
    return [f"{folder}{os.sep}{other}" for other in siblings[folder][_stem(name)] if other != name]


def _caption(found: Scan) -> None:
    """Give short texts to the pictures and clips beside them."""
    texts = {
        _stem(path): source
        for path, source in found.sources.items()
        if path.endswith(CAPTION) and 0 < source.size <= CAPTION_BYTES
    }
    if not texts:
        return
    for path, source in found.sources.items():
        if source.kind in (Kind.IMAGE, Kind.VIDEO) and (text := texts.get(_stem(path))):
            caption = Caption(text.path, text.size, text.mtime_ns)
            found.sources[path] = replace(source, caption=caption)
            found.captions.add(text.path)
    for path in found.captions:
        del found.sources[path]


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _leads_nowhere(path: str) -> bool:
    return Path(path).is_symlink() and not Path(path).exists()


def folder_above(path: str, folders: Collection[str]) -> str | None:
    """The nearest of some folders that a path lies beneath, if any."""
    folder = os.path.dirname(path)  # noqa: PTH120 - for every file
    while folder not in folders:
        below, folder = folder, os.path.dirname(folder)  # noqa: PTH120
        if folder == below:
            return None
    return folder


def _is_beneath(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)
