"""`pooling`: the last token's state against the mean over all."""

from __future__ import annotations

from collections.abc import Sequence

from unite.studies.arm import Arm, Setting, Stage, assert_left_open
from unite.studies.comparison import MATCH, Comparison
from unite.studies.families import COMPOSED, FINE, IMAGE, PURE, VIDEO
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

LAST, MEAN = "last token", "mean of tokens"


def arms(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Both stages with each pooling; stage 2 has that of the model it starts from."""
    del outcomes
    assert_left_open(setting.second, "model.pooling")
    return [
        Arm(name, (Stage(setting.stage1, (f"model.pooling={value}",)), Stage(setting.stage2)))
        for name, value in ((LAST, "last"), (MEAN, "mean"))
    ]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """Whether the method's pooling is the right one."""
    del setting, outcomes
    return [
        Claim(
            "Under causal attention the last token's state is at least as good as the mean, "
            "to two points.",
            "the method's pooling",
            tuple(Comparison(metric, LAST, MEAN, MATCH) for metric in (PURE, COMPOSED)),
        )
    ]


POOLING = Study(
    name="pooling",
    title="Last token against mean",
    question="Both stages from the same random weights; the vector is the last token's state or "
    "the mean over all tokens of the item, prompt included.",
    phases=(arms,),
    claims=claims,
    metrics=(PURE, IMAGE, VIDEO, FINE, COMPOSED),
    floor=Floor(LAST, FINE, 0.80),
    limits=("Attention is causal in both: the mean takes in states that have seen little.",),
)
