"""Where an output lies: one Parquet file with a hidden journal of parts, or a folder of parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from unite.data.vectors.parts import (
    drop_journal,
    drop_parts,
    part_path,
    part_paths,
    read_parts,
    remove_partials,
    sweep,
)
from unite.data.vectors.table import Facts, read_facts, total, with_facts, write_tables
from unite.errors import DataError
from unite.whole import drafts

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Output:
    """What `-o` names, and the hidden places beside it.

    Attributes:
        path: The file, or the folder.
        is_folder: Which of the two it is.
    """

    path: Path
    is_folder: bool

    @classmethod
    def at(cls, path: Path) -> Output:
        """A file if the name ends in .parquet, a folder if it ends in nothing or is one.

        Raises:
            DataError: The name is that of another kind of file.
        """
        if path.is_dir():
            ours = set(part_paths(path))
            other = next((one for one in path.glob(f"*{SUFFIX}") if one not in ours), None)
            if other is not None:
                raise DataError(f"{path} holds other tables: {other.name}.", "Name a new folder.")
            return cls(path, True)
        if path.suffix not in ("", SUFFIX) or (path.exists() and not path.suffix):
            raise DataError(
                f"{path} would hold Parquet.",
                f"Name a file that ends in {SUFFIX}, or a folder, whose name ends in nothing.",
            )
        return cls(path, not path.suffix)

    @property
    def parts(self) -> Path:
        """The folder where parts are written: the output itself, or the journal beside it."""
        return self.path if self.is_folder else self._hidden("parts")

    @property
    def retried(self) -> Path:
        """The journal of rows that are embedded again."""
        return self.path / ".retry" if self.is_folder else self._hidden("retry")

    @property
    def spool(self) -> Path:
        """Where the records lie while others than this process embed them."""
        return self._hidden("records")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer for the length of a block; the lock goes with the process.

        Raises:
            DataError: Another process writes the same output, or the place cannot be written to.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._hidden("lock"), timeout=0)
        try:
            (self.path if self.is_folder else self.path.parent).mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise DataError(
                f"Another process is writing {self.path}.", "Wait for it, or name another output."
            ) from error
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written: {error.strerror}.", "Name another output."
            ) from error
        try:
            for journal in (self.parts, self.retried):
                sweep(journal)
            remove_partials(self.parts)
            for draft in drafts(self.path):
                draft.unlink()
            yield
        finally:
            lock.release()

    def finished(self) -> Facts | None:
        """What a finished output says of itself; None if there is none, or a part of one."""
        if self.is_folder:
            parts = read_parts(self.path)
            return total(parts) if parts and parts[-1].last else None
        return read_facts(self.path) if self.path.exists() and not part_paths(self.parts) else None

    def files(self) -> list[Path]:
        """The Parquet files of a finished output, in order."""
        return part_paths(self.path) if self.is_folder else [self.path]

    def errors(self) -> Iterator[tuple[str, str | None]]:
        """Id and error of every row of a finished output, in order."""
        import pyarrow.parquet as pq

        for path in self.files():
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(columns=["id", "error"]):
                    ids, errors = (batch.column(at).to_pylist() for at in range(2))
                    yield from zip(ids, errors, strict=True)

    def first_failures(self, count: int) -> list[tuple[str, str]]:
        """Id and reason of the first rows that failed."""
        failed = ((name, error) for name, error in self.errors() if error is not None)
        return list(islice(failed, count))

    def assemble(self, parts: Sequence[Facts]) -> None:
        """Put the parts together into the one file, a part at a time; a folder is whole already.

        Raises:
            DataError: The disk is full; the parts stay.
        """
        if self.is_folder:
            return
        import pyarrow.parquet as pq

        paths = [part_path(self.parts, part.first) for part in parts]
        schema = with_facts(pq.read_schema(paths[0]), total(parts))
        write_tables(self.path, _groups(paths), schema)
        drop_journal(self.parts)

    def discard(self) -> None:
        """Begin anew. A finished file stays until the new one takes its place."""
        drop_journal(self.retried)
        if self.is_folder:
            drop_parts(self.path)
        else:
            drop_journal(self.parts)

    def _hidden(self, what: str) -> Path:
        return self.path.absolute().with_name(f".{self.path.absolute().name}.{what}")


def _groups(paths: Sequence[Path]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    for path in paths:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
