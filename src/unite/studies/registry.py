"""All studies by name, and how large they are run."""

from __future__ import annotations

from dataclasses import dataclass

from unite.errors import StudyError, did_you_mean
from unite.studies.composition import COMPOSITION
from unite.studies.frames import FRAMES
from unite.studies.masking import MASKING
from unite.studies.pooling import POOLING
from unite.studies.positions import POSITIONS
from unite.studies.proportions import PROPORTIONS
from unite.studies.study import Study
from unite.studies.temperature import TEMPERATURE

STUDIES = {
    study.name: study
    for study in (COMPOSITION, MASKING, PROPORTIONS, FRAMES, TEMPERATURE, POOLING, POSITIONS)
}


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of the recipes' length is run.

    Attributes:
        scale: Share of steps or epochs.
        world: Scenes of a small world that is made for the study.
        seeds: Seeds of each arm.
    """

    scale: float
    world: int
    seeds: int


SMOKE, FULL = Budget(0.02, 200, 1), Budget(1.0, 2400, 3)


def find_study(name: str) -> Study:
    """A study by name.

    Raises:
        StudyError: There is none.
    """
    if name not in STUDIES:
        raise StudyError(f"There is no study {name!r}.", did_you_mean(name, STUDIES))
    return STUDIES[name]


def find_budget(name: str) -> Budget:
    """`smoke`, `full`, or a share of the full length such as 0.25.

    Raises:
        StudyError: It is none of them.
    """
    known = {"smoke": SMOKE, "full": FULL}
    if name in known:
        return known[name]
    try:
        scale = float(name)
    except ValueError:
        scale = 0.0
    if not 0 < scale < 100:
        raise StudyError(f"{name!r} is no budget.", "Give smoke, full, or a share such as 0.25.")
    return Budget(scale, FULL.world, FULL.seeds)
