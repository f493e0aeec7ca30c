"""`composition`: what text, image and video pairs teach, stage by stage (findings 1 to 3)."""

from __future__ import annotations

from collections.abc import Sequence

from unite.errors import StudyError
from unite.studies.arm import Arm, Setting, Stage
from unite.studies.comparison import Comparison
from unite.studies.families import (
    CAPTIONS,
    COARSE,
    COMPOSED,
    FINE,
    IMAGE,
    INSTRUCTED,
    QUESTIONS,
    TEMPORAL,
    TEXT,
    TEXT_ONLY,
    TO_IMAGE,
    TO_VIDEO,
    UNSEEN,
    VIDEO,
    VISUAL_ONLY,
)
from unite.studies.kinds import KINDS, changes_to, dealt, first_stages, sources_in
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

TV = ("TV coarse", "TV fine")
MIXES: dict[str, tuple[str, ...]] = {
    "TT": ("TT",),
    "TI": ("TI",),
    "TV coarse": ("TV coarse",),
    "TV fine": ("TV fine",),
    "TV": TV,
    "TT + TI": ("TT", "TI"),
    "TT + TV": ("TT", *TV),
    "TI + TV": ("TI", *TV),
    "all": tuple(KINDS),
}
ADDED = 0.3
"""Share of stage 2 that pairs of one kind get."""


def stage_one(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Retrieval adaptation with each mix alone, from one untrained model a seed."""
    del outcomes
    return [
        Arm(f"stage 1: {name}", _first(setting, kinds), group="stage 1")
        for name, kinds in MIXES.items()
    ]


def stage_two(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Instruction tuning after the full mix, with more pairs of one kind or none."""
    del outcomes
    first = _first(setting, MIXES["all"])
    arms = [Arm("stage 2: + nothing", (*first, _second(setting, ())), group="stage 2")]
    for name in KINDS:
        arms.append(Arm(f"stage 2: + {name}", (*first, _second(setting, (name,))), group="stage 2"))
    return arms


def fine_first_or_last(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The fine text–video pairs in stage 1 or in stage 2; stage 2 repeats as many clips in both."""
    del outcomes
    without = tuple(name for name in KINDS if name != "TV fine")
    return [
        Arm(
            "fine video in stage 1",
            (*_first(setting, tuple(KINDS)), _second(setting, ("TV coarse",))),
            group="stage 2",
        ),
        Arm(
            "fine video in stage 2",
            (*_first(setting, without), _second(setting, ("TV fine",))),
            group="stage 2",
        ),
    ]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """The paper's findings 1 to 3."""
    del setting, outcomes
    ti, tv, fine = "stage 1: TI", "stage 1: TV", "stage 1: TV fine"
    return [
        Claim(
            "Text–video pairs alone beat text–image pairs alone on image–text tasks.",
            "paper, finding 1",
            (Comparison(TO_IMAGE, fine, ti), Comparison(TO_IMAGE, tv, ti)),
        ),
        Claim(
            "Text–video pairs carry over to images better than text–image pairs do to video.",
            "paper, finding 1, in direction",
            (Comparison(TO_IMAGE, tv, ti, 0.0, other_metric=TO_VIDEO),),
        ),
        Claim(
            "Instruction tasks gain more from text–text and text–image pairs than from text–video.",
            "paper, finding 2",
            tuple(
                Comparison(INSTRUCTED, f"stage 2: + {ours}", f"stage 2: + {theirs}")
                for ours in ("TT", "TI")
                for theirs in TV
            ),
        ),
        Claim(
            "Fine text–video pairs help video tasks more in stage 1 than in stage 2.",
            "paper, finding 3",
            (Comparison(VIDEO, "fine video in stage 1", "fine video in stage 2"),),
        ),
        Claim(
            "In stage 1 fine text–video pairs teach more than coarse ones.",
            "paper, finding 3",
            tuple(
                Comparison(metric, fine, "stage 1: TV coarse")
                for metric in (TO_VIDEO, TEMPORAL, TO_IMAGE)
            ),
        ),
    ]


def _first(setting: Setting, kinds: Sequence[str]) -> tuple[Stage, ...]:
    return first_stages(setting, dict.fromkeys(kinds, 1 / len(kinds)))


def _second(setting: Setting, kinds: Sequence[str]) -> Stage:
    """Instruction tuning, `ADDED` of it with pairs of stage 1."""
    recipe = setting.whole.second
    first, second = sources_in(setting.first), sources_in(recipe, apart=False)
    early = [*first.given.values(), *setting.first.data.sources.values()]
    own = {name: w for name, w in second.weights.items() if w and second.given[name] not in early}
    if not own or own.keys() & first.given.keys():
        raise StudyError(
            f"The recipe {setting.stage2} has no data beside those of stage 1, or calls others by "
            "the same names.",
            "Give it sources of its own, with names of their own.",
        )
    whole = sum(own.values())
    rest = 1 - ADDED if kinds else 1.0
    wanted = {name: round(rest * weight / whole, 9) for name, weight in own.items()}
    weights = first.weights | {n: w for n, w in second.weights.items() if n in first.given}
    wanted |= dealt(weights, {kind: ADDED / len(kinds) for kind in kinds})
    given = {**{name: second.given[name] for name in own}, **first.given}
    changes = changes_to(recipe, given, wanted)
    return Stage(setting.stage2, changes)


COMPOSITION = Study(
    name="composition",
    title="What text, image and video pairs teach, stage by stage",
    question="Equal budgets of each kind of pair (TT text–text, TI text–image, TV text–video, the "
    "last coarse and fine) and of their mixes in stage 1, from one untrained model a seed; then "
    "instruction tuning after the full mix with more pairs of one kind, and fine text–video pairs "
    "in one stage or the other.",
    phases=(stage_one, stage_two, fine_first_or_last),
    claims=claims,
    metrics=(
        CAPTIONS,
        TEXT,
        TO_IMAGE,
        TO_VIDEO,
        IMAGE,
        VIDEO,
        TEMPORAL,
        COARSE,
        FINE,
        COMPOSED,
        TEXT_ONLY,
        VISUAL_ONLY,
        QUESTIONS,
        UNSEEN,
    ),
    floor=Floor("stage 1: all", CAPTIONS, 0.80),
    limits=(
        "Arms of stage 1 are judged by bare captions, half of them coarse and half fine: other "
        "tasks are asked with instructions, whose words stage 1 has never seen.",
        "Text to image and text to video are different tasks; their comparison does not correct "
        "for one being harder.",
        "Fine clips in stage 1 are a quarter of it, in stage 2 three tenths of that; stage 1 has "
        "both directions and all negatives, stage 2 one direction and MAMCL's mask.",
        "A mix gives its kinds equal shares. Coarse and fine clips are two kinds, so two thirds of "
        "TT + TV and of TI + TV are clips. Text–image pairs repeated in stage 2 are four fifths "
        "coarse.",
        "All arms see equally many pairs, but not equally many distinct ones: a kind of clips has "
        "half as many as pictures have.",
        "Pairs are counted, not tokens: a clip costs more than a picture, and a picture more than "
        "a sentence.",
        "All kinds show the same world: differences between real corpora are not in it.",
    ),
)
