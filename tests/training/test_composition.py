import numpy as np
import pytest

from unite.training.composition import Spread, compose

# Text 1, image 2, video 4, text+image 3.
TWO = np.array([[1, 1, 2, 4], [2, 2, 2, 3]], np.uint8)


def test_rows_of_each_target_modality_are_counted_over_batches() -> None:
    assert compose(TWO, masked=True).targets == {
        "text": Spread(1.0, 0, 2),
        "image": Spread(2.0, 1, 3),
        "text+image": Spread(0.5, 0, 1),
        "video": Spread(0.5, 0, 1),
    }


def test_under_the_mask_a_row_meets_its_own_modality() -> None:
    found = compose(TWO, masked=True)
    assert found.negatives == pytest.approx(((4 + 1 + 1) / 4 + (9 + 1) / 4) / 2)
    assert found.singletons == pytest.approx((2 + 1) / 2)


def test_without_the_mask_it_meets_all() -> None:
    found = compose(TWO, masked=False)
    assert (found.negatives, found.singletons) == (4.0, 0.0)
    assert compose(TWO[:, :1], masked=False).singletons == 1.0
