"""Whether a model's vectors can be trusted: built-in items embedded alone, together, in reverse.

The vectors can be kept in a file and compared with later, after an upgrade or on another machine.

Legend: D width of a vector.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from unite.embedder import Embedder
from unite.errors import CheckpointError
from unite.model.checkpoint import Model
from unite.types import Clip, Item, Vector
from unite.whole import write_text

TOLERANCE = 1e-4
"""Largest difference of a coordinate between two ways of computing the same in fp32."""
COSINE = 0.99
"""Smallest cosine between two ways of computing the same in bf16."""
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two vectors of one item are apart: the largest of a coordinate, and the cosine."""

    largest: float
    cosine: float

    @classmethod
    def between(cls, one: Vector, other: Vector) -> Difference:
        """Compare two vectors (D,) of length one."""
        return cls(float(np.abs(one - other).max()), float(one @ other))

    def within(self, dtype: str) -> bool:
        """Whether this is rounding alone."""
        return self.largest <= TOLERANCE if dtype == "float32" else self.cosine >= COSINE


@dataclass(frozen=True, slots=True)
class Check:
    """What embedding the built-in items showed.

    Attributes:
        model_id: Of the model.
        dtype: What it computed in.
        vectors: Of each item, embedded alone.
        drift: Of each item, the worst difference to that in a mixed batch in order and reversed,
            beside an item that cannot be read.
    """

    model_id: str
    dtype: str
    vectors: dict[str, Vector]
    drift: dict[str, Difference]

    @property
    def sound(self) -> bool:
        """Whether neighbours and order change nothing but rounding."""
        return all(part.within(self.dtype) for part in self.drift.values())


def check_model(model: Model) -> Check:
    """Embed the built-in items in three ways.

    Raises:
        CheckpointError: The model gives no vector for one of them, or none of length one.
    """
    embedder = Embedder(model)
    with tempfile.TemporaryDirectory() as folder:
        items = probes(Path(folder))
        alone = {name: _vectors(embedder, {name: item})[name] for name, item in items.items()}
        broken = Item(images=(str(Path(folder) / "missing.png"),))
        backward = dict(reversed(items.items()))
        together = [_vectors(embedder, order, broken) for order in (items, backward)]
    drift = {
        name: max(
            (Difference.between(vector, mixed[name]) for mixed in together),
            key=lambda part: part.largest,
        )
        for name, vector in alone.items()
    }
    dtype = str(next(model.encoder.parameters()).dtype).removeprefix("torch.")
    return Check(model.id, dtype, alone, drift)


def probes(folder: Path) -> dict[str, Item]:
    """The built-in items.

    Args:
        folder: Where the clip is written; without loss, so that any codec gives the same pixels.
    """
    wide, tall = _picture(240, 320, 1), _picture(200, 90, 2)
    clip = Clip(str(_clip(folder / "probe.mkv")))
    return {
        "text": Item(text="a red boat near the lighthouse"),
        "long text": Item(text="Behind the harbour wall two boats wait for the tide. " * 8),
        "unicode": Item(text="Ein größeres Boot – 灯台の近くの船 🚤 {braces}"),
        "image": Item(images=(wide,)),
        "tall image": Item(images=(tall,)),
        "text+image": Item(text="the same at night", images=(wide,)),
        "two images": Item(text="<|IMAGE|> turns into <|IMAGE|>", images=(wide, tall)),
        "instruction": Item(instruction="Find a picture like it.", images=(tall,)),
        "video": Item(videos=(clip,)),
        "text+video": Item(text="now it goes left", videos=(clip,)),
    }


def write_golden(path: Path, check: Check) -> None:
    """Keep a check's vectors as JSON, atomically."""
    row = {
        "format": _FORMAT,
        "model_id": check.model_id,
        "dtype": check.dtype,
        "vectors": {
            name: [round(float(value), 7) for value in vector]
            for name, vector in check.vectors.items()
        },
    }
    write_text(path, json.dumps(row) + "\n")


def compare_golden(path: Path, check: Check) -> dict[str, Difference]:
    """Compare a check with stored vectors.

    Raises:
        CheckpointError: The file is none of `write_golden`, or of other items or widths.
    """
    stored = _read_golden(path)
    if set(stored) != set(check.vectors):
        apart = sorted(set(stored) ^ set(check.vectors))
        raise CheckpointError(
            f"{path} and this version's items differ: {', '.join(apart)}.",
            "Write the file again with a version of which you know that it is right.",
        )
    differences = {}
    for name, vector in check.vectors.items():
        if stored[name].shape != vector.shape:
            raise CheckpointError(
                f"{path} holds vectors of {len(stored[name])} numbers, the model's have "
                f"{len(vector)}.",
                "It was written with another model.",
            )
        differences[name] = Difference.between(vector, stored[name])
    return differences


def _read_golden(path: Path) -> Mapping[str, Vector]:
    try:
        row: Any = json.loads(path.read_text(encoding="utf-8"))
        if row["format"] != _FORMAT:
            raise ValueError(f"format {row['format']}")
        return {name: np.array(part, np.float32) for name, part in row["vectors"].items()}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds no stored vectors: {error}.", "Write it with --save-golden."
        ) from error


def _vectors(embedder: Embedder, items: Mapping[str, Item], *beside: Item) -> dict[str, Vector]:
    """The vectors of named items, embedded with others whose results do not matter."""
    found = {}
    results = list(embedder.embed([*beside, *items.values()]))[len(beside) :]
    for name, part in zip(items, results, strict=True):
        if part.vector is None:
            raise CheckpointError(f"The model cannot embed the built-in {name!r}: {part.error}")
        if not abs(float(np.linalg.norm(part.vector)) - 1) < 1e-3:  # NaN too
            raise CheckpointError(
                f"The vector of the built-in {name!r} has length {np.linalg.norm(part.vector)}.",
                "The weights are damaged, or overflow in this dtype: try --dtype float32.",
            )
        found[name] = part.vector
    return found


def _values(rows: int, columns: int, seed: int) -> npt.NDArray[np.uint8]:
    """A smooth gradient with discs on it, (H, W, 3)."""
    y, x = np.mgrid[:rows, :columns]
    planes = [(x * 255 // columns), (y * 255 // rows), ((x + y) * seed) % 256]
    values = np.stack(planes, axis=-1)
    for number in range(3):
        centre = (rows * (number + 1) // 4, columns * (3 - number) // 4)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (min(rows, columns) // 6) ** 2
        values[disc] = [(90 * number + 40 * seed) % 256, 250 - 80 * number, 30 * seed]
    return values.astype(np.uint8)


def _picture(rows: int, columns: int, seed: int) -> Image.Image:
    return Image.fromarray(_values(rows, columns, seed))


def _clip(path: Path) -> Path:
    """Four seconds in which a picture slides to the right."""
    import av

    still = _values(120, 160, 3)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=Fraction(6))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "bgr0"
        for number in range(24):
            frame = np.roll(still, 5 * number, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    return path
