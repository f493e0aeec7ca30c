"""`masking`: what the mask of MAMCL does, and whether one objective serves both kinds of gallery.

Finding 4 of the paper, what readers of it asked, and a goal of our own, the prize: match
single-modality batches inside a modality and InfoNCE in a mixed gallery at equal cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from unite.errors import StudyError
from unite.studies.arm import TUNING_SEED, Arm, Setting, Stage, assert_left_open
from unite.studies.comparison import MATCH, Comparison
from unite.studies.families import (
    COMPOSED,
    FINE,
    MIXED,
    PURE,
    TEXT_ONLY,
    UNSEEN,
    VISUAL_ONLY,
    WRONG,
)
from unite.studies.outcome import Metric, Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

TEMPERATURES = (0.02, 0.03, 0.05)
"""What every objective is tried with."""
LADDER = (0.008, 0.012, *TEMPERATURES, 0.08, 0.12)
"""Where the best is the last that was tried, the next one is tried too, twice at most."""
LARGEST = 2048
"""The largest batch, unless the recipe's own is larger; also a fourth and a sixteenth of it."""
ACCUMULATED = 4
CHUNK_TOKENS = 65536
"""Of larger batches, where the recipe says nothing: the small world's 512 rows are then one chunk,
which needs one pass and about 1 GB, as `unite train --dry-run` reckons."""
CONFIRMING_SEEDS = tuple(range(TUNING_SEED + 1, TUNING_SEED + 11))
"""Seeds of nothing else, however many a study is given. With five a match to two points would
mostly have stayed open: seeds differ by one to three points in mixed galleries."""


@dataclass(frozen=True, slots=True)
class Way:
    """An objective.

    Attributes:
        changes: To stage 2.
        objective: What the recipe has no words for.
    """

    changes: tuple[str, ...]
    objective: Mapping[str, Any] | None = None


_UNLESS_SAID = ("data.batches=mixed", "data.g_min=0", "loss.blend=0.0")
_INFONCE = ("loss.masked=false",)
_SINGLE = ("data.batches=single-modality", "loss.masked=false")
_SHAPED = (*_INFONCE, "run.processes=1")
WAYS: dict[str, Way] = {
    "InfoNCE": Way(_INFONCE),
    "MAMCL": Way(("loss.masked=true",)),
    "single-modality batches": Way(_SINGLE),
    "MAMCL, quota 16": Way(("loss.masked=true", "data.g_min=16")),
    "half MAMCL, half InfoNCE": Way(("loss.masked=true", "loss.blend=0.5")),
    "other modalities weigh 0.1": Way(_SHAPED, {"kind": "shaped", "weight": 0.1}),
    "other modalities at twice τ": Way(
        _SHAPED, {"kind": "shaped", "weight": 1.0, "cross_ratio": 2.0}
    ),
    "mask lifted by half of training": Way(
        _SHAPED, {"kind": "shaped", "weight": 0.0, "anneal": 1.0, "over": 0.5}
    ),
    "MAMCL + 0.3 across": Way(_SHAPED, {"kind": "shaped", "weight": 0.3, "split": True}),
    "InfoNCE, modality as asked": Way(_SHAPED, {"kind": "shaped", "weight": 1.0, "as_asked": True}),
    "InfoNCE + queue": Way(_INFONCE, {"kind": "queue", "batches": 4}),
    "single-modality + queue": Way(_SINGLE, {"kind": "queue", "batches": 6}),
    "alternating batches": Way(("data.batches=alternating", "loss.masked=false")),
}
PLAIN, OTHERS = tuple(WAYS)[:3], tuple(WAYS)[3:]
"""What finding 4 is about is run first: an unfinished study then says something of it."""
CANDIDATES = tuple(WAYS)[4:]
"""Those that might win the prize."""
SINGLE_AGAIN, INFONCE_AGAIN = "single-modality batches, again", "InfoNCE, again"
WINNER = "the best candidate, again"


def tuning(names: Sequence[str], setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Each of some objectives at each temperature, with a seed that nothing is reported of."""
    del outcomes
    return [_trial(setting, name, tau) for name in names for tau in TEMPERATURES]


def further(names: Sequence[str], setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Where an objective's best temperature is the least or the greatest tried, the next one."""
    best = {name: LADDER.index(chosen_temperature(name, outcomes)) for name in names}
    near = [(name, LADDER[at]) for name, of in best.items() for at in (of - 1, of + 1)
            if 0 <= at < len(LADDER)]  # fmt: skip
    untried = [(name, tau) for name, tau in near if not _is_tried(name, tau, outcomes)]
    return [_trial(setting, name, tau) for name, tau in untried]


def main(names: Sequence[str], setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """Some objectives, each at its own temperature."""
    arms = []
    for name in names:
        tau = chosen_temperature(name, outcomes)
        arms.append(Arm(name, _way(setting, name, tau), chosen=f"τ {tau}"))
    return arms


def plain(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The plain objectives, and single-modality batches with no more negatives than MAMCL has."""
    optimiser = setting.second.optimiser
    assert_left_open(setting.second, "loss.temperature_bounds")
    if setting.second.loss.symmetric:
        raise StudyError(
            f"The recipe {setting.stage2} has the symmetric loss, and the candidates of this study "
            "know one direction.",
            "--set loss.symmetric=false",
        )
    if optimiser.batch_size % ACCUMULATED:
        raise StudyError(
            f"Batches of {optimiser.batch_size} rows cannot be made of {ACCUMULATED} equal ones.",
            f"Take a multiple of {ACCUMULATED}: --set optimiser.batch_size=N.",
        )
    size, steps = optimiser.batch_size // ACCUMULATED, optimiser.accumulation * ACCUMULATED
    equal = (*_SINGLE, f"optimiser.batch_size={size}", f"optimiser.accumulation={steps}")
    tau = chosen_temperature("single-modality batches", outcomes)
    stages = _stages(setting, (*equal, f"loss.temperature={tau}"))
    return [*main(PLAIN, setting, outcomes), Arm(_equal(setting), stages, chosen=f"τ {tau}")]


def batch_sizes(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The three plain objectives in other batches: steps fall with the root of the size."""
    optimiser = setting.whole.second.optimiser
    tokens = setting.second.run.chunk_tokens or CHUNK_TOKENS
    arms = []
    for size in other_batches(setting):
        ratio = optimiser.batch_size / size
        length = [] if optimiser.steps is None else [_steps(optimiser.steps, ratio)]
        for name in PLAIN:
            tau = chosen_temperature(name, outcomes)
            changes = (
                *WAYS[name].changes, f"loss.temperature={tau}", f"optimiser.batch_size={size}",
                f"run.chunk_tokens={tokens}", *length,
            )  # fmt: skip
            stages = _stages(setting, changes)
            arms.append(
                Arm(f"{name}, batch {size}", stages, group=f"batch {size}", chosen=f"τ {tau}")
            )
    return arms


def confirmation(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The best candidate and what it must match, on seeds of their own: it was the best of many."""
    infonce, _, single = PLAIN
    roles = {SINGLE_AGAIN: single, INFONCE_AGAIN: infonce, WINNER: candidate(outcomes)}
    arms = {arm.name: arm for arm in main(tuple(roles.values()), setting, outcomes)}
    return [
        replace(
            arms[name],
            name=role,
            group="confirmation",
            seeds=CONFIRMING_SEEDS,
            chosen=f"{name}, {arms[name].chosen}" if role == WINNER else arms[name].chosen,
        )
        for role, name in roles.items()
    ]


def candidate(outcomes: Outcomes) -> str:
    """The candidate that is nearest to both it must match; the first one before any is run.

    By the tuning queries: those on which it is confirmed have chosen nothing.
    """
    infonce, _, single = PLAIN
    run = [name for name in CANDIDATES if outcomes.of(name)]
    return max(run, key=lambda arm: _lead(outcomes, arm, single, infonce), default=CANDIDATES[0])


def chosen_temperature(name: str, outcomes: Outcomes) -> float:
    """The best of an objective's temperatures on the tuning queries; the paper's if none is run.

    Candidates are judged as for the prize, InfoNCE by both kinds of gallery alike, others by the
    galleries that they are trained for, those of one modality.
    """
    infonce, _, single = PLAIN
    tried = [tau for tau in LADDER if outcomes.of(_tuned(name, tau))]

    def score(tau: float) -> float:
        arm = _tuned(name, tau)
        if name not in CANDIDATES:
            return _total(outcomes, arm, (PURE, MIXED) if name == infonce else (PURE,))
        pure, mixed = (
            _tuned(goal, chosen_temperature(goal, outcomes)) for goal in (single, infonce)
        )
        return _lead(outcomes, arm, pure, mixed)

    return max(tried, key=score, default=0.03)


def own_batch(setting: Setting) -> int:
    """Rows of a batch of stage 2."""
    return setting.second.optimiser.batch_size


def other_batches(setting: Setting) -> list[int]:
    """The other sizes that are tried, ascending."""
    own = own_batch(setting)
    largest = max(LARGEST, own)
    return [size for size in (largest // 16, largest // 4, largest) if size != own]


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """Finding 4, what readers of the paper asked, an earlier trial of ours, and the prize."""
    chosen = candidate(outcomes)
    called = f" ({chosen})" if outcomes.of(chosen) else ""
    infonce, mamcl, single = PLAIN
    sizes = other_batches(setting)
    equal = _equal(setting)
    return [
        Claim(
            "MAMCL is better than InfoNCE inside a modality.",
            "paper, finding 4",
            tuple(Comparison(metric, mamcl, infonce) for metric in (PURE, COMPOSED)),
        ),
        Claim(
            f"MAMCL is better than InfoNCE inside a modality in batches of {_listed(sizes)}.",
            "readers of the paper",
            tuple(Comparison(PURE, f"{mamcl}, batch {n}", f"{infonce}, batch {n}") for n in sizes),
        ),
        Claim(
            "Single-modality batches are at least as good as MAMCL inside a modality, to two "
            "points.",
            "readers of the paper",
            (Comparison(PURE, single, mamcl, MATCH),),
        ),
        Claim(
            "So they are with about as many negatives as MAMCL has, to two points.",
            "readers of the paper",
            (Comparison(PURE, equal, mamcl, MATCH),),
        ),
        Claim(
            "In a mixed gallery MAMCL is more than ten points below InfoNCE.",
            "an earlier trial",
            (Comparison(MIXED, infonce, mamcl, 0.10),),
        ),
        Claim(
            "InfoNCE is as good as single-modality batches inside a modality, to two points.",
            "an earlier trial",
            (Comparison(PURE, infonce, single, MATCH),),
        ),
        Claim(
            f"The best candidate{called} is as good as single-modality batches inside a "
            "modality and as InfoNCE in a mixed gallery, to two points each.",
            "the prize",
            (
                Comparison(PURE, WINNER, SINGLE_AGAIN, MATCH),
                Comparison(MIXED, WINNER, INFONCE_AGAIN, MATCH),
            ),
            joint=True,
        ),
    ]


def _stages(
    setting: Setting, changes: tuple[str, ...], objective: Mapping[str, Any] | None = None
) -> tuple[Stage, ...]:
    return Stage(setting.stage1), Stage(setting.stage2, (*_UNLESS_SAID, *changes), objective)


def _trial(setting: Setting, name: str, tau: float) -> Arm:
    return Arm(_tuned(name, tau), _way(setting, name, tau), group="tuning", seeds=(TUNING_SEED,))


def _is_tried(name: str, tau: float, outcomes: Outcomes) -> bool:
    """Whether it was: one that failed is not tried again as a further one."""
    return tau in TEMPERATURES or _tuned(name, tau) in outcomes.arms


def _way(setting: Setting, name: str, tau: float) -> tuple[Stage, ...]:
    way = WAYS[name]
    return _stages(setting, (*way.changes, f"loss.temperature={tau}"), way.objective)


def _tuned(name: str, tau: float) -> str:
    return f"{name} at τ {tau}"


def _lead(outcomes: Outcomes, arm: str, pure: str, mixed: str) -> float:
    """By how much an arm is ahead of one in pure and of one in mixed galleries, the lesser of both.

    Over the seeds that all of them have; what one has no score in does not count.
    """
    goals = [(metric, goal) for metric, goal in ((PURE, pure), (MIXED, mixed)) if outcomes.of(goal)]
    common = set(outcomes.of(arm)).intersection(*(outcomes.of(goal) for _, goal in goals))
    if goals and not common:
        return -math.inf

    def mean(name: str, metric: Metric) -> float:
        return _mean([metric.of(outcomes.of(name)[seed], "tuning") for seed in sorted(common)])

    leads = [mean(arm, metric) - mean(goal, metric) for metric, goal in goals]
    return min((lead for lead in leads if not math.isnan(lead)), default=0.0)


def _total(outcomes: Outcomes, arm: str, metrics: Sequence[Metric]) -> float:
    means = [_mean(outcomes.scores(arm, metric, "tuning")) for metric in metrics]
    return sum(mean for mean in means if not math.isnan(mean))


def _mean(scores: Sequence[float]) -> float:
    """The mean; nan of none."""
    return sum(scores) / len(scores) if scores else math.nan


def _listed(sizes: Sequence[int]) -> str:
    return " and of ".join(f"{size:,}" for size in sizes)


def _equal(setting: Setting) -> str:
    return f"single-modality, {own_batch(setting) // ACCUMULATED} rows × {ACCUMULATED}"


def _steps(steps: int, ratio: float) -> str:
    return f"optimiser.steps={max(1, round(steps * ratio**0.5))}"


MASKING = Study(
    name="masking",
    title="What the mask of MAMCL does, in pure and in mixed galleries",
    question="Stage 2 is trained from one stage-1 model a seed, with one objective or another; "
    "data, steps and pairs are equal. The temperature of each is chosen first, on half of the "
    "queries with a seed of its own; scores are of the other half. The best candidate for the "
    "prize is run again on fresh seeds. Cost is told in pairs a second.",
    phases=(
        partial(tuning, PLAIN),
        partial(further, PLAIN),
        partial(further, PLAIN),
        plain,
        partial(tuning, OTHERS),
        partial(further, OTHERS),
        partial(further, OTHERS),
        partial(main, OTHERS),
        confirmation,
        batch_sizes,
    ),
    claims=claims,
    metrics=(PURE, MIXED, WRONG, FINE, COMPOSED, TEXT_ONLY, VISUAL_ONLY, UNSEEN),
    floor=Floor("InfoNCE", FINE, 0.80),
    part="test",
    limits=(
        "Arms of larger batches see more pairs in fewer steps, equally many where a recipe counts "
        "in epochs; only arms of one size are compared.",
        "In accumulated batches of a fourth a row has that many candidates of one modality. On the "
        "small world that is 32; MAMCL's mask leaves 46 of 128 in the mean, but 61 where an image "
        "is wanted and 4 where a page is. A step of 32 × 4 holds several modalities, one of 128 "
        "rows holds one. Its τ is that of whole batches of one modality.",
        "τ is chosen with one seed, which no interval counts: of MAMCL and what has batches of one "
        "modality in pure galleries, of InfoNCE by pure and mixed ones alike, of candidates by the "
        "lesser lead over both they must match.",
        "What means the same is no rival, in whatever modality, but for 'modality as asked'. Of an "
        "instructed query the mixed gallery counts it as wrong in another modality than was asked "
        "for: of a picture that asks for its words the picture itself is in the gallery.",
        "On the small world a quota of 16 hardly changes batches of 128: texts, pictures and clips "
        "have at least 22 rows in each, so that only pages, 3 % of the pairs, come otherwise.",
        "Batches of other sizes have the learning rate and τ of the recipe's own.",
        "Pairs a second are comparable only where runs had the machine to themselves.",
    ),
)
