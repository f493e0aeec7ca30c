"""The same numbers by slices, and only where no gradient is wanted."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unite.model.slices import ROWS, by_rows

LAYER = nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 6))


@given(rows=st.sampled_from([0, 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 3 * ROWS + 5]))
def test_slices_change_nothing(rows: int) -> None:
    hidden_ND = torch.randn(rows, 6)
    with torch.inference_mode():
        torch.testing.assert_close(by_rows(LAYER, hidden_ND), LAYER(hidden_ND))


def test_slices_are_taken_without_gradients_only() -> None:
    seen: list[int] = []

    def layer(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return part

    hidden_ND = torch.randn(2 * ROWS + 1, 2)
    by_rows(layer, hidden_ND)
    with torch.no_grad():
        by_rows(layer, hidden_ND)
    assert seen == [2 * ROWS + 1, ROWS, ROWS, 1]
