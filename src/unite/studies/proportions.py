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

RANDOM = 6
ROUNDS = (RANDOM, 2, 2, 2, 2, 2)
"""Trials that are proposed at once, so that they can run side by side: first some at random, then
a few at a time that follow from all before."""
OWN, EQUAL, FOUND = "the recipe's own mix", "equal shares", "the mix found"
Shares = dict[str, float]


def trials(number: int, setting: Setting, outcomes: Outcomes) -> Sequence[Arm]:
    """The next round of mixes that the optimiser wants to see, given what came of the earlier ones.

    Nothing is kept of the search itself: equal outcomes lead the optimiser to equal proposals.
    """
    first = sum(ROUNDS[:number])
    wanted = _proposals(number + 1, outcomes)[first:]
    return [
        _arm(_trial(place), setting, shares, group="search", seeds=(TUNING_SEED,))
        for place, shares in enumerate(wanted, first)
    ]


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
    best = outcomes.best([_trial(place) for place in range(sum(ROUNDS))], CAPTIONS, "tuning")
    if best is None:
        return None
    return _proposals(len(ROUNDS), outcomes)[int(best.rpartition(" ")[2])]


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


def _proposals(rounds: int, outcomes: Outcomes) -> list[Shares]:
    """What a seeded optimiser proposes in its first rounds, told after each what came of it."""
    try:
        import optuna
    except ImportError as error:
        raise StudyError(
            "The search needs Optuna, which is not installed.",
            "Install it: pip install 'unite-embed[studies]'.",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The others of a round count as bad ones while nothing is known of them: so they differ.
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=RANDOM, constant_liar=True)
    search = optuna.create_study(direction="maximize", sampler=sampler)
    proposals: list[Shares] = []
    for size in ROUNDS[:rounds]:
        asked = [search.ask() for _ in range(size)]
        shares = [_shares(trial) for trial in asked]
        for place, trial in enumerate(asked, len(proposals)):
            scores = outcomes.scores(_trial(place), CAPTIONS, "tuning")
            if scores:
                search.tell(trial, scores[0])
            else:
                search.tell(trial, state=optuna.trial.TrialState.FAIL)
        proposals += shares
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
    chosen = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
    return Arm(name, first_stages(setting, shares), group=group, seeds=seeds, chosen=chosen)


def _trial(place: int) -> str:
    return f"trial {place}"


PROPORTIONS = Study(
    name="proportions",
    title="How much of each kind of pair stage 1 should have",
    question=f"{sum(ROUNDS)} mixes proposed by a tree-structured Parzen estimator, {RANDOM} at "
    "random, then two by two, one seed each, scored on half of the queries; then the best against "
    "two others on seeds and queries of their own. Equal pairs in all.",
    phases=(*(partial(trials, number) for number in range(len(ROUNDS))), final),
    claims=claims,
    metrics=(CAPTIONS, TEXT, IMAGE, VIDEO, TEMPORAL, UNSEEN),
    floor=Floor(OWN, CAPTIONS, 0.80),
    part="test",
    limits=("One seed a trial: the best of many is partly the luckiest.",),
)
