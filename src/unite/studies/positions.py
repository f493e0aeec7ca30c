"""`positions`: plain 1-D positions, as UNITE was trained, against Qwen's own M-RoPE."""

from __future__ import annotations

from collections.abc import Sequence

from unite.studies.arm import Arm, Setting, Stage, assert_left_open
from unite.studies.comparison import MATCH, Comparison
from unite.studies.families import COMPOSED, FINE, IMAGE, PURE, TEMPORAL, VIDEO
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

PLAIN, MROPE = "1-D", "M-RoPE"


def arms(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Both stages with each kind; stage 2 has that of the model it starts from."""
    del outcomes
    assert_left_open(setting.second, "model.positions")
    return [
        Arm(name, (Stage(setting.stage1, (f"model.positions={value}",)), Stage(setting.stage2)))
        for name, value in ((PLAIN, "1d"), (MROPE, "mrope"))
    ]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """Whether anything is lost by plain positions."""
    del setting, outcomes
    return [
        Claim(
            "Plain positions cost nothing against M-RoPE, to two points.",
            "the released code",
            tuple(Comparison(metric, PLAIN, MROPE, MATCH) for metric in (IMAGE, VIDEO)),
            joint=True,
        ),
        Claim(
            "M-RoPE tells clips apart in time better.",
            "its authors' reason for it",
            (Comparison(TEMPORAL, MROPE, PLAIN),),
        ),
    ]


POSITIONS = Study(
    name="positions",
    title="1-D positions against M-RoPE",
    question="Both stages from the same random weights; positions of tokens are 0, 1, 2 … or "
    "slice, row and column.",
    phases=(arms,),
    claims=claims,
    metrics=(PURE, IMAGE, VIDEO, TEMPORAL, FINE, COMPOSED),
    floor=Floor(PLAIN, FINE, 0.80),
    limits=(
        "Random weights: a pretrained backbone has learned with M-RoPE already.",
        "M-RoPE runs through transformers' own slower forward pass; cost is not compared.",
    ),
)
