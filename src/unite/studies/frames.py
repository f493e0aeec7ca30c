"""`frames`: how many frames of a clip are seen, in training and in search."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from unite.studies.arm import Arm, Setting, Stage
from unite.studies.comparison import MATCH, Comparison
from unite.studies.families import FINE, IMAGE, PURE, TEMPORAL, VIDEO
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

COUNTS = (2, 4, 8)


def arms(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Both stages with each number of frames."""
    del outcomes
    stages = (Stage(setting.stage1), Stage(setting.stage2))
    return [Arm(_name(count), stages, frames=count) for count in COUNTS]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """What more frames bring, and what they do to pictures."""
    del setting, outcomes
    return [
        Claim(
            f"{more} frames tell clips apart in time better than {fewer}.",
            "the method's frame policy",
            (Comparison(TEMPORAL, _name(more), _name(fewer)),),
        )
        for fewer, more in pairwise(COUNTS)
    ] + [
        Claim(
            "Image–text scores do not fall by more than two points with more frames a clip.",
            "the method's frame policy",
            tuple(Comparison(IMAGE, _name(count), _name(COUNTS[0]), MATCH) for count in COUNTS[1:]),
        )
    ]


def _name(count: int) -> str:
    return f"{count} frames"


FRAMES = Study(
    name="frames",
    title="Frames of a clip",
    question="Both stages with the same pairs and steps, clips seen by 2, 4 or 8 frames spread "
    "over the whole clip, in training and in evaluation alike.",
    phases=(arms,),
    claims=claims,
    metrics=(VIDEO, TEMPORAL, IMAGE, FINE, PURE),
    floor=Floor(_name(4), VIDEO, 0.60),
    limits=("Pairs are equal, compute is not: tokens of a clip grow with its frames.",),
)
