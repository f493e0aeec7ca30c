"""What the batches of a plan hold, and how much a row of them has to learn from.

Shapes: S batches, N rows of each, M target modalities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite.types import Modality


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over all batches."""

    mean: float
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Composition:
    """Batches in numbers.

    Attributes:
        targets: Rows of each target modality in a batch.
        negatives: Candidates that a row is contrasted with, its own among them; mean of Σ N_m²/N
            over batches under the mask, else N. Candidates of equal meaning are not taken off.
        singletons: Rows of a batch, in the mean, that are alone in their modality and so learn
            nothing.
    """

    targets: dict[str, Spread]
    negatives: float
    singletons: float


def compose(target_SN: npt.NDArray[np.uint8], *, masked: bool) -> Composition:
    """Count the rows of every target modality in every batch.

    Args:
        target_SN: Target modality of each row.
        masked: Whether a row meets candidates of its own modality only.
    """
    rows = target_SN.shape[1]
    codes = np.unique(target_SN).tolist()
    count_MS = np.stack([(target_SN == code).sum(1) for code in codes])
    met_MS = count_MS if masked else np.full((1, target_SN.shape[0]), rows)
    return Composition(
        {
            Modality(code).label: Spread(
                float(count_S.mean()), int(count_S.min()), int(count_S.max())
            )
            for code, count_S in zip(codes, count_MS, strict=True)
        },
        float((met_MS.astype(np.float64) ** 2).sum(0).mean() / rows),
        float((met_MS == 1).sum(0).mean()),
    )
