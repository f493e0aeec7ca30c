"""The same stages on a Ray cluster: chunks of records, decoded on CPUs, embedded by model actors.

The records are laid down in a file first, so that one execution of Ray Data sees them all and no
process holds more than a few. A decoding actor turns a chunk of them into features, a model actor
makes rows of these; rows come back in order. Ray moves the chunks, holds back whoever is too fast
and starts again what died. All machines must see the same folders: the file, media and model.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.records import item_row
from unite.data.vectors import Entry, Watched
from unite.embedder.ray_actors import Decode, Encode, Job
from unite.errors import UniteError
from unite.types import Item

if TYPE_CHECKING:
    from ray.data import Dataset

CHUNK = 32
"""Records that travel together: with clips about 100 MB of features."""


def embed_on_ray(watched: Watched, job: Job, spool: Path, address: str) -> Iterator[Entry]:
    """Embed records on a cluster; a `Work` of `unite.data.vectors`.

    Args:
        watched: The records.
        job: What to embed with.
        spool: A file to lay the records down in; removed at the end.
        address: `local` starts Ray on this machine; `auto` or `ray://…` joins a cluster.

    Yields:
        An entry for each record, in order.

    Raises:
        UniteError: Ray is not installed, or no cluster answers.
    """
    try:
        chunks = _lay_down(watched, spool)
        if not chunks:
            return
        with _connected(address) as ray:
            for chunk in _stages(ray, chunks, job, spool).iter_rows():
                yield from (Entry(row, digest) for row, digest in pickle.loads(chunk["rows"]))
    finally:
        spool.unlink(missing_ok=True)


def _lay_down(watched: Watched, spool: Path) -> list[dict[str, int]]:
    """Write the records; where each chunk of them lies in the file."""
    chunks: list[dict[str, int]] = []
    with spool.open("wb") as file:
        for number, record in enumerate(watched):
            if number % CHUNK == 0:
                chunks.append({"offset": file.tell(), "size": 0})
            said = (
                {"item": item_row(record)}
                if isinstance(record, Item)
                else {"bad": [record.number, record.id, record.error]}
            )
            line = json.dumps(said | {"digest": watched.next_digest()}).encode() + b"\n"
            file.write(line)
            chunks[-1]["size"] += len(line)
    return chunks


def _stages(ray: Any, chunks: list[dict[str, int]], job: Job, spool: Path) -> Dataset:
    """Decoding actors, as many as there are cores left, then one for each model."""
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    resources = ray.cluster_resources()
    cores, cards = (int(resources.get(name, 0)) for name in ("CPU", "GPU"))
    models = cards or len(ray.nodes())
    source = ray.data.from_items(chunks, override_num_blocks=len(chunks))
    decoded = source.map(
        Decode,
        fn_constructor_args=(job, spool.resolve()),
        num_cpus=1,
        concurrency=(1, max(1, cores - models)),
    )
    options = {"num_gpus": 1} if cards else {"num_cpus": 1}
    encoded: Dataset = decoded.map(
        Encode, fn_constructor_args=(job,), concurrency=models, **options
    )
    return encoded


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UniteError("Ray is not installed.", "pip install 'unite-embed[ray]'") from error
    try:
        ray.init(
            address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise UniteError(
            f"No Ray cluster answers at {address}: {error}",
            "`ray start --head` begins one; --ray local needs none.",
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()
