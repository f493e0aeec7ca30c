"""Vectors as they travel: shortened, as numbers or as base64 of little-endian float32."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from unite.serve.faults import RequestError
from unite.types import Vector


def shortened(vector: Vector, dimensions: int | None) -> Vector:
    """The leading numbers (D,), of unit length again."""
    if dimensions is None or dimensions == len(vector):
        return vector
    head = vector[:dimensions]
    return head / max(float(np.linalg.norm(head)), 1e-12)


def encoded(vector: Vector, form: str) -> str | list[float]:
    """A vector as `base64` or `float`."""
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]


def decoded(given: str | list[float], dim: int) -> Vector:
    """A vector that a client sent, made unit length.

    Raises:
        RequestError: It has another length, or is no direction at all.
    """
    try:
        numbers = base64.b64decode(given, validate=True) if isinstance(given, str) else None
        vector = np.array(given, np.float64) if numbers is None else np.frombuffer(numbers, "<f4")
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            400, "The embedding is not base64 of float32.", param="embedding"
        ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector.astype(np.float64)))
    if vector.shape != (dim,) or not np.isfinite(length) or length == 0:
        raise RequestError(
            400,
            f"The embedding has {vector.size} numbers and length {length:g};"
            f" {dim} finite numbers are needed that are not all zero.",
            param="embedding",
        )
    return (vector / length).astype(np.float32)
