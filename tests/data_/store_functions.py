"""What other processes do with a store in `test_store.py`: they import it by name."""

from __future__ import annotations

import os

from unite.data.store import PairStore
from unite.types import Pair


def rows_of(store: PairStore) -> tuple[int, list[Pair]]:
    return os.getpid(), store[:]
