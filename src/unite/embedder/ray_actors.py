"""What runs on a Ray cluster: actors that decode chunks of records, and actors that embed them.

What actors hand over is pickled, as all that Ray moves; no such thing is kept in a file.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from unite.data.records import BadRow, parse_item
from unite.data.vectors import embed_rows
from unite.embedder.decode import Decoders
from unite.embedder.encode import BatchEncoder, batches
from unite.embedder.engine import Embedder, decoding, default_budget
from unite.errors import ItemError
from unite.media.source import Limits
from unite.model.checkpoint import load_model, load_tokenizer_of
from unite.model.preprocess import Features, Preprocessor
from unite.types import Clip, Embedding, Item

if TYPE_CHECKING:
    from unite.model.policy import Policy

Record = Item | BadRow
Prepared = Features | str
"""An item's features, or what is wrong with it."""


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
        # All are asked for before the first is waited for: one process decodes, this one prepares.
        asked = [self._ask(record) for record, _ in records if isinstance(record, Item)]
        return {"chunk": pickle.dumps((records, [finish() for finish in asked]))}

    def _ask(self, item: Item) -> Callable[[], Prepared]:
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
        self.dim, self.model_id, self.dtype = model.dim, model.id, job.dtype

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Embed."""
        records, prepared = pickle.loads(row["chunk"])
        encoder = _Finished(self._embedded(prepared), self.dim, self.model_id, self.dtype)
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
    dtype: str

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        for _, embedding in zip(items, self.embeddings, strict=True):
            yield embedding


def _read_chunk(spool: Path, chunk: dict[str, int]) -> list[tuple[Record, str]]:
    with spool.open("rb") as file:
        file.seek(chunk["offset"])
        rows = [json.loads(line) for line in file.read(chunk["size"]).splitlines()]
    return [
        (parse_item(row["item"]) if "item" in row else BadRow(*row["bad"]), row["digest"])
        for row in rows
    ]
