"""Embeddings kept on disk as they are made: work that was cut off goes on where it stood.

A shard is a Parquet file, renamed when whole. Its items go through the embedder by themselves: what
follows a break then falls into the same batches as without it, and rounds the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unite.data.records import content_id
from unite.errors import DataError
from unite.media.source import file_state
from unite.types import Embedding, Encoder, Item
from unite.whole import whole

SHARD = 128
"""Embeddings a file."""


def embed_once(
    encoder: Encoder,
    items: Iterable[Item],
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Embedding]:
    """Embed every distinct item, or find what an earlier run made of it.

    Args:
        encoder: The model.
        items: Any; equal contents are embedded once.
        folder: Where the embeddings are kept, those of each model apart. What failed is tried
            again.
        progress: Called with the number of distinct items that are done and the whole.

    Returns:
        What became of each item, by its content id.

    Raises:
        DataError: A file of the folder is damaged.
    """
    wanted = {content_id(item): replace(item, id=None) for item in items}
    keys = {name: _key(name, item) for name, item in wanted.items()}
    place = folder / encoder.model_id
    kept = _read_shards(place, set(keys.values()))
    found = {name: kept[key] for name, key in keys.items() if key in kept}
    missing = [name for name in wanted if name not in found]
    for names in _runs(missing, SHARD):
        shard: dict[str, Embedding] = {}
        results = encoder.embed(wanted[name] for name in names)
        for name, result in zip(names, results, strict=True):
            found[name] = shard[keys[name]] = result
            progress(len(found), len(wanted))
        _write_shard(place, shard, encoder.dim)
    return found


def _runs(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Runs of so many names; `itertools` has it from Python 3.12 on."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _key(name: str, item: Item) -> str:
    """An item's content and the state of its files."""
    paths = [ref for ref in item.images if isinstance(ref, str)]
    states = [file_state(path) for path in (*paths, *(clip.path for clip in item.videos))]
    return hashlib.sha256(repr((name, states)).encode()).hexdigest()[:32]


def _write_shard(place: Path, shard: Mapping[str, Embedding], dim: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    none = np.zeros(dim, np.float32)
    rows: Sequence[Embedding] = list(shard.values())
    flat = np.concatenate([none if row.vector is None else row.vector for row in rows])
    table = pa.table(
        {
            "key": pa.array(list(shard), pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), dim),
            "error": pa.array([row.error for row in rows], pa.string()),
            "note": pa.array([row.note for row in rows], pa.string()),
        }
    )
    place.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256("".join(shard).encode()).hexdigest()[:32]
    path = place / f"{name}.parquet"
    with whole(path) as draft:
        pq.write_table(table, draft)


def _read_shards(place: Path, wanted: set[str]) -> dict[str, Embedding]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept: dict[str, Embedding] = {}
    for path in sorted(place.glob("*.parquet")):
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"{path} is damaged: {error}.", "Remove it; the rest serves."
            ) from error
        vectors = table["embedding"].combine_chunks().flatten().to_numpy()
        columns = [table[name].to_pylist() for name in ("key", "error", "note")]
        for vector, (key, why, note) in zip(
            vectors.reshape(table.num_rows, -1), zip(*columns, strict=True), strict=True
        ):
            if key in wanted and why is None:
                kept[key] = Embedding(vector, None, note)
    return kept
