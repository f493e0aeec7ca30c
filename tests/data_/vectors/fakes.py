"""A deterministic encoder with a window, rows of every sort, and a process that can be killed."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from unite.data.items import read_items
from unite.data.records import BadRow
from unite.data.vectors import Cadence, Kind, Output, Precision, embed_file, retry_failed
from unite.types import Embedding, Encoder, Item, Vector

DIM = 16
SMALL = Cadence(rows=16)


def kind(precision: Precision = Precision.FLOAT32, dim: int = DIM, model_id: str = "m1") -> Kind:
    return Kind(model="fake", model_id=model_id, dim=dim, precision=precision)


def vector_of(text: str) -> Vector:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    found = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return found / np.float32(np.linalg.norm(found))


class Fake:
    """Texts with "fail" in them fail, unless it is healed; notes on every fifth item."""

    dim = DIM
    model_id, dtype = "m1", "float32"

    def __init__(self, *, healed: bool = False, window: int = 8, delay: float = 0.0) -> None:
        self.seen: list[str] = []
        self._healed, self._window, self._delay = healed, window, delay

    def embed(self, items: Iterable[Item]) -> Iterator[Embedding]:
        stream = iter(items)
        while window := list(islice(stream, self._window)):
            for item in window:
                time.sleep(self._delay)
                self.seen.append(str(item.id))
                yield self._one(str(item.text))

    def _one(self, text: str) -> Embedding:
        if "fail" in text and not (self._healed and "ever" not in text):
            return Embedding(None, error=f"cannot: {text}")
        return Embedding(vector_of(text), note="fifth" if text.endswith("5") else None)


def rows(count: int) -> list[Item | BadRow]:
    """Good ones, failing ones, and rows that are no items."""
    return [_row(number) for number in range(count)]


def _row(number: int) -> Item | BadRow:
    name = f"r{number}"
    if number % 11 == 3:
        return BadRow(number + 1, name, "no item")
    word = "fail for ever" if number % 17 == 4 else "fail" if number % 7 == 2 else "word"
    return Item(text=f"{word} {number}", id=name)


def lines(count: int) -> str:
    """The same as the lines of an item file."""
    texts = [
        json.dumps(
            {"id": row.id, "txt": 1}
            if isinstance(row, BadRow)
            else {"id": row.id, "text": row.text}
        )
        for row in rows(count)
    ]
    return "\n".join(texts) + "\n"


def main(source: str, out: str, verb: str) -> None:
    """Embed a file, telling every row that is done and every item that the model saw."""
    encoder: Encoder = Loud(healed=verb == "retry", delay=0.0005)

    def tell(done: int, failed: int) -> None:
        print("row", done, flush=True)

    output, records = Output.at(Path(out)), read_items(Path(source))
    if verb == "retry":
        retry_failed(output, records, encoder, kind(), on_row=tell, cadence=SMALL)
    else:
        embed_file(output, records, encoder, kind(), on_row=tell, cadence=SMALL)


class Loud(Fake):
    def _one(self, text: str) -> Embedding:
        print("saw", self.seen[-1], flush=True)
        return super()._one(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
