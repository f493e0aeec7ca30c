"""The same stages on a Ray cluster: chunks of records, decoded on CPUs, embedded by model actors.

The records are laid down in a file first, so that one execution of Ray Data sees them all and no
process holds more than a few. A decoding actor turns a chunk of them into features, a model actor
makes rows of these; rows come back in order. Ray moves the chunks, holds back whoever is too fast
and starts again what died. All machines must see the same folders: the file, media and model.

What actors hand over is pickled, as all that Ray moves; no such thing is kept in a file.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite.data.records import BadRow, item_row, parse_item
from unite.data.vectors import Entry, Watched, embed_rows
from unite.embedder.decode import Decoders
from unite.embedder.encode import BatchEncoder, batches
from unite.embedder.engine import Embedder, decoding, default_budget
from unite.errors import ItemError, UniteError
from unite.media.source import Limits
from unite.model.checkpoint import load_model, load_tokenizer_of
from unite.model.preprocess import Features, Preprocessor
from unite.types import Clip, Embedding, Item

if TYPE_CHECKING:
    from ray.data import Dataset

    from unite.model.policy import Policy

Record = Item | BadRow
Prepared = Features | str
"""An item's features, or what is wrong with it."""

CHUNK = 32
"""Records that travel together: with clips about 100 MB of features."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What every actor needs to know.

    Attributes:
        model: As `load_model` takes it; the same on all machines.
        dtype: What it computes in.
        policy: With the frames that are wanted.
        dim: Coordinates that are kept; None: all.
        fit: Whether clips give up frames to fit.
        limits: The largest media that are opened.
        seconds: The longest that a medium may take.
    """

    model: str
    dtype: str
    policy: Policy
    dim: int | None
    fit: bool
    limits: Limits
    seconds: float

    @classmethod
    def of(cls, embedder: Embedder, dim: int | None) -> Job:
        """The same as an embedder of this process does."""
        return cls(
            model=embedder.name,
            dtype=embedder.dtype,
            policy=embedder.model.policy,
            dim=dim,
            fit=embedder.preprocessor.fit,
            limits=embedder.preprocessor.limits,
            seconds=embedder.seconds,
        )


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


def _read_chunk(spool: Path, chunk: dict[str, int]) -> list[tuple[Record, str]]:
    with spool.open("rb") as file:
        file.seek(chunk["offset"])
        rows = [json.loads(line) for line in file.read(chunk["size"]).splitlines()]
    return [
        (parse_item(row["item"]) if "item" in row else BadRow(*row["bad"]), row["digest"])
        for row in rows
    ]


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
            None if address == "local" else address,
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


class Decode:
    """Makes features of a chunk's items; media in a process of its own, with a time limit."""

    def __init__(self, job: Job, spool: Path) -> None:
        self._spool = spool
        self._preprocessor = Preprocessor(
            load_tokenizer_of(job.model), job.policy, job.limits, fit=job.fit
        )
        see = decoding(job.policy, job.limits)
        self._decoders = Decoders(see, workers=1, threads=1, seconds=job.seconds)

    def __call__(self, chunk: dict[str, int]) -> dict[str, bytes]:
        """Read and decode."""
        records = _read_chunk(self._spool, chunk)
        prepared = [
            self._prepared(record) for record, _ in records if isinstance(record, Item)
        ]  # in order, so that this process prepares while the other decodes
        return {"chunk": pickle.dumps((records, [part() for part in prepared]))}

    def _prepared(self, item: Item) -> Any:
        media = [self._decoders.ask(part) for part in (*item.images, *item.videos)]

        def finish() -> Prepared:
            pictures = len(item.images)
            images, clips = iter(media[:pictures]), iter(media[pictures:])
            try:
                return self._preprocessor(
                    item,
                    lambda part: next(clips if isinstance(part, Clip) else images).result().pixels,
                )
            except ItemError as error:
                return str(error)

        return finish


class Encode:
    """Makes rows of a chunk: the model is loaded once, onto the GPU that Ray gives."""

    def __init__(self, job: Job) -> None:
        import torch

        model = replace(load_model(job.model, dtype=job.dtype), policy=job.policy)
        if torch.cuda.is_available():
            model.encoder.to("cuda")
        self._dim = job.dim
        self._budget = default_budget(model)
        self._encode = BatchEncoder(model, Preprocessor(model.tokenizer, model.policy))
        self.dim, self.model_id = model.dim, model.id

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Embed."""
        records, prepared = pickle.loads(row["chunk"])
        encoder = _Finished(self._embedded(prepared), self.dim, self.model_id)
        rows = embed_rows(encoder, [record for record, _ in records], self._dim)
        digests = [digest for _, digest in records]
        return {"rows": pickle.dumps(list(zip(rows, digests, strict=True)))}

    def _embedded(self, prepared: Sequence[Prepared]) -> list[Embedding]:
        found = [
            Embedding(None, error=part if isinstance(part, str) else None) for part in prepared
        ]
        good = [(at, part) for at, part in enumerate(prepared) if isinstance(part, Features)]
        lengths = [len(part.input_ids_L) for _, part in good]
        for numbers in batches(lengths, self._budget.batch):
            outcomes = self._encode([good[number][1] for number in numbers]).outcomes
            for number, outcome in zip(numbers, outcomes, strict=True):
                at, part = good[number]
                found[at] = (
                    Embedding(None, error=str(outcome))
                    if isinstance(outcome, ItemError)
                    else Embedding(outcome, note=part.note)
                )
        return found


@dataclass(frozen=True, slots=True)
class _Finished:
    """An encoder whose work is done: it gives out what is there."""

    embeddings: Sequence[Embedding]
    dim: int
    model_id: str

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for _, embedding in zip(items, self.embeddings, strict=True):
            yield embedding
