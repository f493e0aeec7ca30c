import numpy as np
import pytest

from unite.serve.faults import RequestError
from unite.serve.vectors import decoded, encoded, shortened

VECTOR = np.array([0.6, 0.0, -0.8], np.float32)


@pytest.mark.parametrize("form", ["base64", "float"])
def test_a_vector_comes_back(form: str) -> None:
    np.testing.assert_array_equal(decoded(encoded(VECTOR, form), 3), VECTOR)


def test_shortened_vectors_have_unit_length() -> None:
    np.testing.assert_array_equal(shortened(VECTOR, 1), [1.0])
    assert shortened(VECTOR, None) is VECTOR
    assert np.isfinite(shortened(np.array([0.0, 1.0], np.float32), 1)).all()


@pytest.mark.parametrize(
    "given", ["AAAA", "nonsense!", "", [1.0, 2.0], [0.0, 0.0, 0.0], [1e308, 1e308, np.inf]]
)
def test_what_is_no_direction_is_refused(given: str | list[float]) -> None:
    with pytest.raises(RequestError) as refused:
        decoded(given, 3)
    assert refused.value.status == 400
