"""A library on disk: a folder with `library.json` and, there or elsewhere, the vectors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from unite.errors import LibraryError
from unite.library.lock import exclusive
from unite.library.progress import FILE as PROGRESS
from unite.library.scenes import can_find_cuts
from unite.library.segments import Segmenting
from unite.paths import absolute
from unite.stores.opening import create_store, open_store
from unite.stores.protocol import Store
from unite.whole import write_text

FORMAT = 1
FACTS = "library.json"
VECTORS = "vectors"
LOCK = "writer.lock"
_UNNAMEABLE = re.compile(r"[\0-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFacts:
    """What `library.json` says.

    Attributes:
        model_id: Hash of everything that shapes a vector; see `unite.types.Encoder`.
        model: The model's name as it was given, to open it again.
        dim: Length of a vector.
        mixed_gallery: Whether cosines of candidates of different modalities can be compared.
        segmenting: What becomes of clips; a library made before there were segments has none.
        store: Where the vectors are: a name in the library's folder, or an address.
        table: The name that the store itself gave its table; empty where it gives none.
        format: Version of the folder's layout.
    """

    model_id: str
    model: str
    dim: int
    mixed_gallery: bool
    segmenting: Segmenting = field(default_factory=lambda: Segmenting(how="whole"))
    store: str = VECTORS
    table: str = ""
    format: int = FORMAT


class Library:
    """An open library.

    Args:
        path: Its folder.
        facts: What it remembers of its model.
        store: Its vectors.
    """

    def __init__(self, path: Path, facts: LibraryFacts, store: Store) -> None:
        self.path = path
        self.facts = facts
        self.store = store

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Whether a library was made in this folder to the end."""
        return (path / FACTS).is_file()

    @staticmethod
    def facts_of(path: Path) -> LibraryFacts:
        """What a library remembers, without opening its vectors.

        Raises:
            LibraryError: There is no library, or its facts cannot be read.
        """
        return _read_facts(path)

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        model_id: str,
        model: str,
        dim: int,
        mixed_gallery: bool = False,
        segmenting: Segmenting | None = None,
        store: str = VECTORS,
    ) -> Library:
        """Make an empty library. `library.json` is written last, so that a half-made one is none.

        Args:
            path: Its folder; made when missing.
            model_id: Id of the model.
            model: Name under which the model can be opened.
            dim: Length of a vector.
            mixed_gallery: Whether the model's cosines compare across modalities.
            segmenting: What becomes of clips; by default they are cut into scenes where
                PySceneDetect is installed, else into windows.
            store: Address of another store for the vectors, see `unite.stores.opening`.

        Raises:
            LibraryError: There is a library already, the folder cannot be made, or the store's
                address is none.
        """
        if ":" in store and "://" not in store and not Path(store).is_absolute():
            raise LibraryError(
                f"{store!r} is no address of a store.",
                "Write s3://bucket/path or qdrant+http://host:6333/collection.",
            )
        if _UNNAMEABLE.search(absolute(path)):
            raise LibraryError(
                f"{str(path)!r} holds a control character, or is not UTF-8.", "Name it otherwise."
            )
        facts = LibraryFacts(
            model_id=model_id,
            model=model,
            dim=dim,
            mixed_gallery=mixed_gallery,
            segmenting=segmenting or Segmenting(how="scenes" if can_find_cuts() else "windows"),
            store=store,
        )
        try:
            path.mkdir(parents=True, exist_ok=True)
            with exclusive(path / LOCK):
                if cls.exists(path):
                    raise LibraryError(f"{path} is a library already.", "Open it.")
                made = create_store(_location(path, facts), dim)
                facts = replace(facts, table=made.identity)
                write_text(path / FACTS, json.dumps(asdict(facts), indent=2) + "\n")
        except (OSError, RuntimeError) as error:  # RuntimeError: how LanceDB reports a full disk
            reason = getattr(error, "strerror", None) or error
            raise LibraryError(f"No library can be made in {path}: {reason}.") from error
        return cls(path, facts, made)

    @classmethod
    def open(cls, path: Path, *, model_id: str | None = None, dim: int | None = None) -> Library:
        """Open a library, and check that a model fits it where one is given.

        Args:
            path: Its folder.
            model_id: Id of the model about to be used.
            dim: Length of that model's vectors.

        Raises:
            LibraryError: There is no library, it cannot be read, or it was made by another model.
        """
        facts = cls.facts_of(path)
        if model_id is not None:
            _check_model(path, facts, model_id, facts.dim if dim is None else dim)
        store = open_store(_location(path, facts))
        if facts.table and store.identity != facts.table:
            raise LibraryError(
                f"The vectors at {_location(path, facts)} are another library's, which was made "
                f"while {path} was empty.",
                "Index into a new library, with a store of its own.",
            )
        return cls(path, facts, store)

    def check(self, model_id: str, dim: int) -> None:
        """Refuse a model other than the library's own.

        Raises:
            LibraryError: The ids differ, or the lengths of the vectors do.
        """
        _check_model(self.path, self.facts, model_id, dim)

    def check_filled(self) -> None:
        """Refuse to search where there is nothing to find.

        Raises:
            LibraryError: The library is empty.
        """
        if not self.store.count():
            raise LibraryError(
                f"{self.path} is empty.", f"Fill it: unite index PATH -l {self.path}"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer for the length of a block.

        Raises:
            LibraryError: Another process is writing.
        """
        with exclusive(self.path / LOCK):
            yield

    @property
    def own_paths(self) -> frozenset[str]:
        """The library's own files, which a scan passes over."""
        here = absolute(self.path)
        own = (FACTS, LOCK, PROGRESS, *([] if "://" in self.facts.store else [self.facts.store]))
        return frozenset(os.path.normpath(Path(here) / name) for name in own)


def _location(path: Path, facts: LibraryFacts) -> str:
    """Where a library's vectors are."""
    return facts.store if "://" in facts.store else str((path / facts.store).resolve())


def _read_facts(path: Path) -> LibraryFacts:
    """Read and check `library.json`."""
    file = path / FACTS
    if not file.is_file():
        what = "is not a library" if path.exists() else "does not exist"
        raise LibraryError(f"{path} {what}.", f"Make one: unite index PATH -l {path}")
    try:
        row: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LibraryError(
            f"{file} cannot be read: {error}.", "Index into a new library."
        ) from error
    if not isinstance(row, dict) or row.get("format") != FORMAT:
        found = row.get("format") if isinstance(row, dict) else None
        raise LibraryError(
            f"{file} has format {found!r}, this version of unite reads {FORMAT}.",
            "Use the version that wrote it, or index into a new library.",
        )
    row = {"segmenting": asdict(Segmenting(how="whole")), "store": VECTORS, "table": "", **row}
    wrong = [name for name, kind in _TYPES.items() if not isinstance(row.get(name), kind)]
    if wrong:
        raise LibraryError(f"{file} lacks a sound {wrong[0]!r}.", "Index into a new library.")
    try:
        segmenting = Segmenting(**row["segmenting"])
    except TypeError as error:
        raise LibraryError(
            f"{file} lacks a sound 'segmenting'.", "Index into a new library."
        ) from error
    names = [it.name for it in fields(LibraryFacts)]
    return LibraryFacts(**{**{name: row[name] for name in names}, "segmenting": segmenting})


_TYPES = {
    "model_id": str,
    "model": str,
    "dim": int,
    "mixed_gallery": bool,
    "segmenting": dict,
    "store": str,
    "table": str,
    "format": int,
}


def _check_model(path: Path, facts: LibraryFacts, model_id: str, dim: int) -> None:
    if (model_id, dim) == (facts.model_id, facts.dim):
        return
    raise LibraryError(
        f"{path} was made with model {facts.model!r} (id {facts.model_id}, {facts.dim} numbers a"
        f" vector), not with the one given (id {model_id}, {dim} numbers).",
        f"Use -m {facts.model}; if that is what was given, it has changed since: put it back as it "
        "was, or index into a new library.",
    )
