from __future__ import annotations

import numpy as np
import pytest

from unite.errors import LibraryError
from unite.stores.protocol import Found, Row, check_query, stack

from .conftest import record, unit


def test_a_found_record_becomes_a_hit() -> None:
    hit = Found(record("r", path="/c.mp4", modality="video", start=1.0, end=2.5), 0.5).hit
    assert (hit.id, hit.path, hit.modality, hit.score) == ("r", "/c.mp4", "video", 0.5)
    assert (hit.start, hit.end) == (1.0, 2.5)


def test_stack_refuses_what_is_no_vector_of_the_store() -> None:
    good = unit(4)
    with pytest.raises(LibraryError, match=r"/p has shape \(3,\).*holds \(4,\)"):
        stack([Row(record("/p"), good[:3])], 4)
    with pytest.raises(LibraryError, match="not finite"):
        stack([Row(record("/p"), np.full(4, np.nan, np.float32))], 4)
    assert stack([], 4).shape == (0, 4)
    assert stack([Row(record("/p"), good.astype(np.float64))], 4).dtype == np.float32


def test_a_query_is_checked_like_a_row() -> None:
    assert check_query(unit(4), 4).shape == (1, 4)
    with pytest.raises(LibraryError, match="query"):
        check_query(unit(5), 4)
