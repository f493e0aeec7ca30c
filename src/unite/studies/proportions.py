"""`proportions`: a search over the shares of TT, TI, coarse and fine TV in stage 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from unite.errors import StudyError
from unite.studies.arm import TUNING_SEED, Arm, Setting
from unite.studies.comparison import Comparison
from unite.studies.families import CAPTIONS, IMAGE, TEMPORAL, TEXT, UNSEEN, VIDEO
from unite.studies.kinds import KINDS, first_stages, kind_weights
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.verdict import Claim, Floor

if TYPE_CHECKING:
    import optuna

TRIALS = 16
OWN, EQUAL, FOUND = "the recipe's own mix", "equal shares", "the mix found"
Shares = dict[str, float]


def trial(number: int, setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The next mix that the optimiser wants to see, given what the earlier ones came to.

    Nothing is kept of the search itself: equal outcomes lead the optimiser to equal proposals.
    """
    shares = _proposals(number + 1, outcomes)[number]
    return [_arm(_trial(number), setting, shares, group="search", seeds=(TUNING_SEED,))]


def final(setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The best mix against the recipe's own and against equal shares, on seeds of their own."""
    equal = dict.fromkeys(KINDS, 1 / len(KINDS))
    return [
        _arm(OWN, setting, own_shares(setting)),
        _arm(EQUAL, setting, equal),
        _arm(FOUND, setting, best_shares(outcomes) or equal),
    ]


def best_shares(outcomes: Outcomes) -> Shares | None:
    """The shares of the best trial on the tuning queries; None before any."""
    best = outcomes.best([_trial(number) for number in range(TRIALS)], CAPTIONS, "tuning")
    if best is None:
        return None
    number = int(best.rpartition(" ")[2])
    return _proposals(number + 1, outcomes)[number]


def own_shares(setting: Setting) -> Shares:
    """What the recipe of stage 1 gives each kind."""
    weights = kind_weights(setting)
    whole = sum(weights.values())
    return {kind: weight / whole for kind, weight in weights.items()}


def claims(setting: Setting, outcomes: Outcomes) -> Sequence[Claim]:
    """Whether searching pays."""
    del setting, outcomes
    return [
        Claim(
            f"A mix found by search is better than {other}.",
            "readers of the paper",
            (Comparison(CAPTIONS, FOUND, other),),
        )
        for other in (OWN, EQUAL)
    ]


def _proposals(count: int, outcomes: Outcomes) -> list[Shares]:
    """The first proposals of a seeded optimiser that is told what is known."""
    try:
        import optuna
    except ImportError as error:
        raise StudyError(
            "The search needs Optuna, which is not installed.",
            "Install it: pip install 'unite-embed[studies]'.",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=6)
    search = optuna.create_study(direction="maximize", sampler=sampler)
    proposals = []
    for number in range(count):
        asked = search.ask()
        proposals.append(_shares(asked))
        scores = outcomes.scores(_trial(number), CAPTIONS, "tuning")
        if scores:
            search.tell(asked, scores[0])
        else:
            search.tell(asked, state=optuna.trial.TrialState.FAIL)
    return proposals


def _shares(asked: optuna.Trial) -> Shares:
    parts = {kind: asked.suggest_float(kind, 0.02, 1.0) for kind in KINDS}
    whole = sum(parts.values())
    return {kind: round(part / whole, 4) for kind, part in parts.items()}


def _arm(
    name: str,
    setting: Setting,
    shares: Shares,
    group: str = "all",
    seeds: tuple[int, ...] | None = None,
) -> Arm:
    return Arm(name, first_stages(setting, shares), group=group, seeds=seeds)


def _trial(number: int) -> str:
    return f"trial {number}"


PROPORTIONS = Study(
    name="proportions",
    title="How much of each kind of pair stage 1 should have",
    question=f"{TRIALS} mixes proposed by a tree-structured Parzen estimator, one seed each, "
    "scored on half of the queries; then the best against two others on seeds and queries of "
    "their own. Equal pairs in all.",
    phases=(*(partial(trial, number) for number in range(TRIALS)), final),
    claims=claims,
    metrics=(CAPTIONS, TEXT, IMAGE, VIDEO, TEMPORAL, UNSEEN),
    floor=Floor(OWN, CAPTIONS, 0.80),
    part="test",
    limits=("One seed a trial: the best of many is partly the luckiest.",),
)
