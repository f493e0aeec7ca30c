"""How the coordinates of a vector are stored, and how a unit vector comes back from them.

N: vectors, D: coordinates.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unite.errors import DataError
from unite.types import Vector

Matrix = npt.NDArray[np.float32]


class Precision(enum.StrEnum):
    """What a coordinate is stored as."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    BINARY = "binary"

    def check(self, dim: int) -> None:
        """Refuse a length that does not fill whole bytes.

        Raises:
            DataError: Signs are packed by eight, and the length is no multiple of it.
        """
        if self is Precision.BINARY and dim % 8:
            near = f"--dim {dim - dim % 8}" if dim > 8 else "another precision"
            raise DataError(
                f"Binary vectors pack eight signs a byte; {dim} is no multiple of 8.",
                f"Take {near}.",
            )

    @property
    def stored_as(self) -> np.dtype[Any]:
        """The type of a stored number."""
        return _STORED[self]

    def width(self, dim: int) -> int:
        """Stored numbers a vector."""
        return dim // 8 if self is Precision.BINARY else dim

    def store(self, vectors_ND: Matrix) -> npt.NDArray[Any]:
        """Turn unit vectors (N, D) into what is stored, (N, `width`).

        int8 scales each vector by its own largest coordinate to ±127; its length is lost, and it
        was 1. Binary keeps the signs, a zero counting as negative.
        """
        if self is Precision.BINARY:
            return np.packbits(vectors_ND > 0, axis=1)
        if self is Precision.INT8:
            largest_N1 = np.abs(vectors_ND).max(axis=1, keepdims=True, initial=0)
            scale_N1 = 127 / np.where(largest_N1 > 0, largest_N1, 1)
            return np.rint(vectors_ND * scale_N1).astype(np.int8)
        return vectors_ND.astype(self.stored_as)

    def restore(self, stored: npt.NDArray[Any]) -> Matrix:
        """Unit vectors (N, D) from what is stored; a row of zeros stays one."""
        if self is Precision.FLOAT32:
            return stored
        if self is Precision.BINARY:
            vectors_ND = np.unpackbits(stored, axis=1).astype(np.float32) * 2 - 1
        else:
            vectors_ND = stored.astype(np.float32)
        length_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
        unit_ND: Matrix = (vectors_ND / np.where(length_N1 > 0, length_N1, 1)).astype(np.float32)
        return unit_ND


_STORED: Mapping[Precision, np.dtype[Any]] = {
    Precision.FLOAT32: np.dtype(np.float32),
    Precision.FLOAT16: np.dtype(np.float16),
    Precision.INT8: np.dtype(np.int8),
    Precision.BINARY: np.dtype(np.uint8),
}


def cut(vector: Vector, dim: int) -> Vector | None:
    """The first coordinates of a vector, made a unit vector; None if they are all zero."""
    if dim == len(vector):
        return vector
    head: Vector = vector[:dim]
    length = float(np.linalg.norm(head))
    return head / np.float32(length) if length > 0 else None
