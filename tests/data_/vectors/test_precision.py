from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite.data.vectors.precision import Matrix, Precision, cut
from unite.errors import DataError


def unit(seed: int, count: int, dim: int) -> Matrix:
    found = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("precision", "off"), [("float32", 0), ("float16", 1e-3), ("int8", 0.02), ("binary", 0.7)]
)
@given(seed=st.integers(0, 1000), count=st.integers(0, 5), dim=st.sampled_from([8, 24, 64]))
def test_what_is_stored_comes_back(
    precision: str, off: float, seed: int, count: int, dim: int
) -> None:
    kind, vectors = Precision(precision), unit(seed, count, dim)
    stored = kind.store(vectors)
    assert stored.shape == (count, kind.width(dim))
    assert stored.dtype == kind.stored_as
    back = kind.restore(stored)
    assert back.dtype == np.float32
    assert back.shape == vectors.shape
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, atol=1e-6)
    assert np.all((1 - (back * vectors).sum(axis=1)) <= off + 1e-6)
    if kind in (Precision.INT8, Precision.BINARY):  # stored again it is the same
        np.testing.assert_array_equal(kind.store(back), stored)


def test_int8_uses_the_whole_range_and_binary_the_signs() -> None:
    vectors = np.array([[0.6, -0.8, 0, 0, 0, 0, 0, 0], [0] * 8], np.float32)
    assert Precision.INT8.store(vectors)[0].tolist() == [95, -127, 0, 0, 0, 0, 0, 0]
    assert Precision.BINARY.store(vectors).tolist() == [[0b10000000], [0]]
    assert not Precision.INT8.restore(Precision.INT8.store(vectors))[1].any()


def test_signs_fill_bytes() -> None:
    with pytest.raises(DataError, match=r"multiple of 8.*--dim 8"):
        Precision.BINARY.check(12)
    Precision.BINARY.check(16)
    Precision.INT8.check(12)


def test_a_cut_vector_is_a_unit_vector() -> None:
    vector = np.array([0.0, 0.6, 0.8], np.float32)
    assert cut(vector, 3) is vector
    np.testing.assert_allclose(cut(vector, 2), [0, 1])  # type: ignore[arg-type]
    assert cut(vector, 1) is None
