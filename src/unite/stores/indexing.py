"""The approximate index of a large table, built by a process of its own.

`python -m unite.stores.indexing URI LIMIT` builds it if it is wanted and nobody else does. The
writer starts it after a commit (`start`) and goes on; until it is ready, searches compare all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from unite.stores.lance_schema import IDENTITY, to_matrix
from unite.stores.protocol import Matrix
from unite.stores.snapshot import AT_ONCE, SPARE, through_index
from unite.stores.state import LOCK, IndexFacts, read_facts, state_folder, write_facts

TABLE = "records"
LEAST = 1000
"""Fewer rows cannot train an index."""

SAMPLE = 100
"""Stored vectors asked for to measure recall."""

NEAREST = 10
WANTED_RECALL = 0.97
PROBES = (8, 16, 32, 64, 128, 256)
NICENESS = 10

PATIENCE = 1.0
"""Seconds to wait for the lock: who only asks whether it is held has it for a moment."""


def wants_index(count: int, limit: int, facts: IndexFacts | None) -> bool:
    """Whether an index is to be built: none is there, or the table has doubled since.

    What comes between is taken into the index by the engine's own upkeep.

    Args:
        count: Rows of the table.
        limit: Most rows that are compared all.
        facts: What is known of its index.
    """
    return count > max(limit, LEAST) and (facts is None or count >= 2 * facts.rows)


def is_building(folder: Path) -> bool:
    """Whether a process builds an index right now; no where that cannot be asked.

    Args:
        folder: The table's state folder.
    """
    if not folder.exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # the folder can only be read
        return False


def start(uri: str, limit: int) -> subprocess.Popen[bytes]:
    """Start building in a process that outlives this one.

    Args:
        uri: Local folder or address in object storage.
        limit: Most rows that are compared all.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "unite.stores.indexing", uri, str(limit)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def build(uri: str, limit: int) -> None:
    """Build the index if it is wanted and nobody else does; a failure is kept in the facts.

    Args:
        uri: Local folder or address in object storage.
        limit: Most rows that are compared all.
    """
    import lancedb

    folder = state_folder(uri)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=PATIENCE):
            table = lancedb.connect(uri).open_table(TABLE)
            identity = (table.schema.metadata or {}).get(IDENTITY, b"").decode()
            if wants_index(table.count_rows(), limit, read_facts(folder, identity)):
                write_facts(folder, _built(table, identity))
    except Timeout:
        return


def _built(table: Any, identity: str) -> IndexFacts:
    from lancedb.index import IvfRq

    rows = int(table.count_rows())
    try:
        table.create_index("vector", config=IvfRq(distance_type="cosine"))
        table.checkout_latest()
        probes, recall = _measured(table)
    except (RuntimeError, OSError, ValueError) as error:
        return IndexFacts(identity=identity, error=str(error))
    return IndexFacts(identity=identity, rows=rows, probes=probes, recall=recall)


def _measured(table: Any) -> tuple[int, float]:
    """The fewest probes that find nearly all true neighbours, and the share that they find."""
    queries, truth = _truth(table)
    recall = 0.0
    for probes in PROBES:
        found = [_found(table, query, probes) for query in queries]
        shares = [len(one & true) / len(true) for one, true in zip(found, truth, strict=True)]
        recall = float(np.mean(shares))
        if recall >= WANTED_RECALL:
            break
    return probes, recall


def _truth(table: Any) -> tuple[Matrix, list[set[int]]]:
    """Some stored vectors, and the rows truly nearest to each but itself, in one pass."""
    dim = table.schema.field("vector").type.list_size
    rows = table.search().select(["_rowid"]).to_arrow()["_rowid"].to_numpy()
    chosen = np.sort(np.random.default_rng(0).choice(rows, min(SAMPLE, len(rows)), replace=False))
    taken = table.take_row_ids(chosen.tolist()).select(["vector"]).with_row_id().to_arrow()
    queries, own = to_matrix(taken, dim), taken["_rowid"].to_numpy()
    best_scores = np.full((len(own), NEAREST), -np.inf, np.float32)
    best_rows = np.zeros((len(own), NEAREST), np.uint64)
    for batch in table.search().select(["_rowid", "vector"]).to_batches(batch_size=AT_ONCE):
        names = batch["_rowid"].to_numpy()
        scores = queries @ batch["vector"].flatten().to_numpy().reshape(-1, dim).T
        scores[own[:, None] == names[None, :]] = -np.inf
        joined = np.concatenate([best_scores, scores], axis=1)
        named = np.concatenate([best_rows, np.broadcast_to(names, scores.shape)], axis=1)
        keep = np.argpartition(-joined, NEAREST - 1, axis=1)[:, :NEAREST]
        best_scores = np.take_along_axis(joined, keep, axis=1)
        best_rows = np.take_along_axis(named, keep, axis=1)
    return queries, [set(row) for row in best_rows.tolist()]


def _found(table: Any, query_D: Any, probes: int) -> set[int]:
    query = table.search(query_D, vector_column_name="vector").distance_type("cosine")
    # As a search asks, for one more than wanted: the query itself is stored and comes first.
    query = through_index(query.limit(NEAREST + 1 + SPARE), probes)
    found = query.select(["_rowid", "_distance"]).to_arrow()
    return set(found["_rowid"].to_pylist()[: NEAREST + 1])


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    build(sys.argv[1], int(sys.argv[2]))
