"""A store on a Qdrant server or cluster: one collection.

Qdrant has no transactions: a write is seen batch by batch. Its names of points are UUIDs, made from
ours, so that writing again replaces. Vectors are of unit length already and are compared by their
product; Qdrant's own cosine would change their last digits.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from unite.errors import LibraryError
from unite.stores.filters import EVERYTHING, Filter
from unite.stores.protocol import Found, IndexState, Record, Row, Stats, check_query, stack
from unite.stores.qdrant_filter import path_keys, translated
from unite.stores.topk import top_k
from unite.types import Vector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

KEY = "QDRANT_API_KEY"
"""Environment variable that holds the server's key."""

SPARE = 32
"""Further candidates asked of the engine, so that rounding does not decide who makes the cut."""

BATCH = 256
RETRIES = 5
LABELS_SHOWN = 1000
_NAMESPACE = uuid.UUID("6f1c0c7e-52f5-5a07-9d53-3c8a8f0f5d11")
_INDEXED = {
    **dict.fromkeys(("source", "path", "path_keys", "modality", "tags"), "keyword"),
    **dict.fromkeys(("modified", "size"), "integer"),
    "duration": "float",
}


class QdrantStore:
    """One collection.

    Args:
        client: A connection to the server; `connect` makes one.
        collection: Name of a collection that is there; see `create`.

    Raises:
        LibraryError: The server does not answer, or has no such collection.
    """

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._name = collection
        with _speaking():
            if not client.collection_exists(collection):
                raise LibraryError(
                    f"The server has no collection {collection!r}.", "Index into a new library."
                )
            self._dim = int(client.get_collection(collection).config.params.vectors.size)

    @classmethod
    def create(
        cls, client: QdrantClient, collection: str, dim: int, *, shards: int = 1, replicas: int = 1
    ) -> QdrantStore:
        """Make a collection, or take an empty one of the same width.

        Args:
            client: A connection to the server.
            collection: Its name.
            dim: Length of a vector.
            shards: Parts that the nodes of a cluster share among them.
            replicas: Nodes that hold each part.

        Raises:
            LibraryError: The server does not answer, or the collection is in use.
        """
        from qdrant_client import models

        params = models.VectorParams(size=dim, distance=models.Distance.DOT)
        with _speaking():
            if not client.collection_exists(collection):
                client.create_collection(
                    collection, params, shard_number=shards, replication_factor=replicas
                )
            for field, kind in _INDEXED.items():
                client.create_payload_index(collection, field, models.PayloadSchemaType(kind))
        store = cls(client, collection)
        if store.dim != dim or store.count():
            raise LibraryError(
                f"The collection {collection!r} is in use already.", "Give it another name."
            )
        return store

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def identity(self) -> str:
        """None: a collection has no name but its own."""
        return ""

    def upsert(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id, in batches that the client repeats."""
        from qdrant_client import models

        last = list({row.record.id: row for row in rows}.values())
        matrix_ND = stack(last, self._dim)
        points = (
            models.PointStruct(
                id=_point(row.record.id), vector=vector, payload=_payload(row.record)
            )
            for row, vector in zip(last, matrix_ND.tolist(), strict=True)
        )
        with _speaking():
            self._client.upload_points(
                self._name, points, batch_size=BATCH, max_retries=RETRIES, wait=True
            )

    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that do not exist are no error."""
        from qdrant_client import models

        for names in _batches(ids):
            points = models.PointIdsList(points=[_point(name) for name in names])
            with _speaking():
                self._client.delete(self._name, points, wait=True)

    def get(self, ids: Sequence[str]) -> list[Row]:
        """Rows in the order of the ids; ids that do not exist are left out."""
        found: dict[str, Row] = {}
        for names in _batches(ids):
            points = [_point(name) for name in names]
            with _speaking():
                rows = map(_row, self._client.retrieve(self._name, points, with_vectors=True))
            found.update((row.record.id, row) for row in rows)
        return [found[name] for name in ids if name in found]

    def records(self, sources: Iterable[str] | None = None) -> Iterator[Record]:
        """Records without vectors, streamed in no order."""
        from qdrant_client import models

        if sources is None:
            yield from map(_record, self._scrolled(None, True))
            return
        for names in _batches(sources):
            match = models.MatchAny(any=names)
            among = models.Filter(must=[models.FieldCondition(key="source", match=match)])
            yield from map(_record, self._scrolled(among, True))

    def search(
        self, vector: Vector, k: int, where: Filter = EVERYTHING, offset: int = 0
    ) -> list[Found]:
        """The k nearest by cosine among those admitted, ties in the order of ids."""
        query_1D = check_query(vector, self._dim)
        with _speaking():
            answer = self._client.query_points(
                self._name,
                query_1D[0].tolist(),
                query_filter=self._translated(where),
                limit=k + offset + SPARE,
                with_vectors=True,
            )
        rows = [_row(point) for point in answer.points]
        ids = [row.record.id for row in rows]
        found, scores = top_k(query_1D, stack(rows, self._dim), k + offset, ids)
        ranked = zip(found[0, offset:], scores[0, offset:], strict=True)
        return [Found(rows[index].record, float(score)) for index, score in ranked]

    def count(self, where: Filter = EVERYTHING) -> int:
        """Number of records admitted."""
        with _speaking():
            return int(self._client.count(self._name, self._translated(where), exact=True).count)

    def modalities(self) -> dict[str, int]:
        """Records per modality label, sorted by label."""
        with _speaking():
            shown = self._client.facet(self._name, "modality", limit=LABELS_SHOWN, exact=True)
        return dict(sorted((str(hit.value), hit.count) for hit in shown.hits))

    def stats(self) -> Stats:
        """How much the store holds, and how it searches; Qdrant tells neither bytes nor recall."""
        with _speaking():
            facts = self._client.get_collection(self._name)
        indexed = facts.indexed_vectors_count or 0
        state: IndexState = "ready" if indexed else "none"
        return Stats(
            count=self.count(),
            modalities=self.modalities(),
            index="building" if facts.status == "yellow" else state,
            indexed=indexed,
            recall=None if indexed else 1.0,
        )

    def tidy(self) -> None:
        """Nothing to do: the server keeps itself in order."""

    def _translated(self, where: Filter) -> models.Filter | None:
        return None if where == EVERYTHING else translated(where, self._paths)

    def _paths(self, where: models.Filter) -> Iterator[str]:
        for point in self._scrolled(where, ["path"]):
            yield point.payload["path"]

    def _scrolled(self, where: models.Filter | None, payload: bool | list[str]) -> Iterator[Any]:
        """Points of the whole collection that pass, page by page."""
        page: Any = None
        while True:
            with _speaking():
                points, page = self._client.scroll(
                    self._name, where, limit=1000, offset=page, with_payload=payload
                )
            yield from points
            if page is None:
                return


def connect(url: str) -> QdrantClient:
    """A connection to a server, with the key of the environment variable `QDRANT_API_KEY`.

    Args:
        url: Such as ``http://localhost:6333``.

    Raises:
        LibraryError: The client is not installed.
    """
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise LibraryError(
            "qdrant-client is not installed.", "Install it: pip install 'unite-embed[qdrant]'"
        ) from error
    # Without a port in the URL the client would add its own, to https too. That the server does not
    # answer is told by the first call.
    key = os.environ.get(KEY)
    return QdrantClient(url=url, api_key=key, port=None, check_compatibility=False)


@contextmanager
def _speaking() -> Iterator[None]:
    """What can go wrong between us and a server, as errors with a remedy."""
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        yield
    except ResponseHandlingException as error:
        raise LibraryError(
            f"The Qdrant server does not answer: {error}.", "Start it, or correct the address."
        ) from error
    except UnexpectedResponse as error:
        raise LibraryError(
            f"The Qdrant server refuses: {error.status_code} {error.reason_phrase}.",
            f"Check the collection's name, and the key in {KEY}.",
        ) from error


def _point(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))


def _payload(record: Record) -> dict[str, Any]:
    """A record as JSON, with what only filters need."""
    facts = {field.name: getattr(record, field.name) for field in fields(Record)}
    facts |= {"tags": list(record.tags), "meta": dict(record.meta)}
    return facts | {"modified": record.modified, "path_keys": path_keys(record.path)}


def _record(point: Any) -> Record:
    facts = {field.name: point.payload[field.name] for field in fields(Record)}
    return Record(**{**facts, "tags": tuple(facts["tags"])})


def _row(point: Any) -> Row:
    return Row(_record(point), np.asarray(point.vector, np.float32))


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    unique = sorted(set(names))
    for first in range(0, len(unique), BATCH):
        yield unique[first : first + BATCH]
