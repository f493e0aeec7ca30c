"""A store by its location: a folder, an address in object storage, or a Qdrant collection."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from unite.errors import LibraryError, did_you_mean
from unite.stores.lance import LanceStore
from unite.stores.protocol import Store

if TYPE_CHECKING:
    from unite.stores.qdrant import QdrantStore

OBJECTS = ("s3", "gs", "az")
SERVERS = ("qdrant+http", "qdrant+https")
_OPTIONS = ("replicas", "shards")


def open_store(location: str) -> Store:
    """Open a store that is there.

    Args:
        location: A folder, ``s3://bucket/path`` (or ``gs``, ``az``), or
            ``qdrant+http://host:6333/collection`` (or ``qdrant+https``).

    Raises:
        LibraryError: The location cannot be read, or there is no store.
    """
    if (url := _server(location)) is None:
        return LanceStore.open(location)
    from unite.stores.qdrant import QdrantStore, connect

    address, collection = _split(url)
    return QdrantStore(connect(address), collection)


def create_store(location: str, dim: int) -> Store:
    """Make an empty store.

    Args:
        location: As for `open_store`; a Qdrant collection on a cluster also takes
            ``?shards=6&replicas=2``.
        dim: Length of a vector.

    Raises:
        LibraryError: The location cannot be read, or the place is in use.
    """
    if (url := _server(location)) is None:
        return LanceStore.create(location, dim)
    return _create_collection(url, dim)


def _create_collection(url: SplitResult, dim: int) -> QdrantStore:
    from unite.stores.qdrant import QdrantStore, connect

    options = {name: values[-1] for name, values in parse_qs(url.query).items()}
    for name, value in options.items():
        if name not in _OPTIONS:
            raise LibraryError(f"{name!r} is no option here.", did_you_mean(name, _OPTIONS))
        if not value.isdecimal() or int(value) < 1:
            raise LibraryError(f"{name}={value} is not a number from 1.")
    address, collection = _split(url)
    numbers = {name: int(value) for name, value in options.items()}
    return QdrantStore.create(connect(address), collection, dim, **numbers)


def _server(location: str) -> SplitResult | None:
    """The parts of a server's address; None for what LanceDB opens itself."""
    if "://" not in location:
        return None
    url = urlsplit(location)
    if url.scheme in SERVERS:
        return url
    if url.scheme in OBJECTS:
        return None
    raise LibraryError(
        f"{location} has a scheme that no store knows.", did_you_mean(url.scheme, OBJECTS + SERVERS)
    )


def _split(url: SplitResult) -> tuple[str, str]:
    """The server's address, and the collection: what follows the last slash."""
    prefix, _, collection = url.path.rpartition("/")
    if not url.hostname or not collection:
        raise LibraryError(
            f"{url.geturl()} names no server and collection.",
            "Write qdrant+http://host:6333/collection",
        )
    return f"{url.scheme.removeprefix('qdrant+')}://{url.netloc}{prefix}", collection
