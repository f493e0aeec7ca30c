"""`temperature`: what τ does, fixed or learned."""

from __future__ import annotations

from collections.abc import Sequence

from unite.studies.arm import Arm, Setting, Stage, assert_left_open
from unite.studies.comparison import MATCH, Comparison
from unite.studies.families import COARSE, COMPOSED, FINE, MIXED, PURE
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

FIXED = (0.01, 0.03, 0.05, 0.1)
PAPER = 0.03
LEARNED = "learned τ"
BOUNDS = (0.01, 0.2)


def arms(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Both stages at each temperature, and with one that is learned."""
    del outcomes
    for recipe in (setting.first, setting.second):
        assert_left_open(recipe, "loss.temperature_bounds")
    ways: dict[str, tuple[str, ...]] = {_name(tau): (f"loss.temperature={tau}",) for tau in FIXED}
    ways[LEARNED] = (f"loss.temperature={PAPER}", f"loss.temperature_bounds={list(BOUNDS)}")
    return [
        Arm(name, (Stage(setting.stage1, changes), Stage(setting.stage2, changes)))
        for name, changes in ways.items()
    ]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """Whether the paper's value is a good one, and whether learning it helps."""
    del setting, outcomes
    others = [tau for tau in FIXED if tau != PAPER]
    return [
        Claim(
            f"No other fixed temperature is two points better than the paper's {PAPER}.",
            "paper",
            tuple(Comparison(PURE, _name(PAPER), _name(tau), MATCH) for tau in others),
            joint=True,
        ),
        Claim(
            "A learned temperature is as good as the paper's, to two points.",
            "readers of the paper",
            (Comparison(PURE, LEARNED, _name(PAPER), MATCH),),
        ),
    ]


def _name(tau: float) -> str:
    return f"τ {tau}"


TEMPERATURE = Study(
    name="temperature",
    title="The temperature, fixed or learned",
    question=f"Both stages at each fixed τ, and with a τ learned within {BOUNDS} from {PAPER} on; "
    "all else equal.",
    phases=(arms,),
    claims=claims,
    metrics=(PURE, COARSE, FINE, COMPOSED, MIXED),
    floor=Floor(_name(PAPER), FINE, 0.80),
    limits=("Learning rates were chosen at τ 0.03.",),
)
