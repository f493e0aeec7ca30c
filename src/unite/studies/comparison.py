"""Two arms compared in one score, with the interval that seeds and queries leave open.

The 95 % interval of a difference is

    mean ± sqrt((t · sd(seeds) / √n)² + (1.96 · se(queries))²)

with Student's t for n - 1 degrees of freedom over the differences of equal seeds, and the standard
error over queries of the differences averaged over seeds, tasks weighing equally.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unite.studies.outcome import Metric, Outcomes, Part, Values

Answer = Literal["yes", "no", "open"]
LEAST_SEEDS = 3
MATCH = -0.02
"""A match is to two points of R@1: about what a few hundred queries and a few seeds can tell."""
_NORMAL = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm's score less another's, held against a bound.

    Attributes:
        metric: The score.
        arm: Whose score is claimed to be higher.
        other: Whose it is compared with.
        bound: What the difference is claimed to be above: 0 to win, `MATCH` to match.
        other_metric: The other arm's score, if it is another one.
    """

    metric: Metric
    arm: str
    other: str
    bound: float = 0.0
    other_metric: Metric | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A comparison with its numbers.

    Attributes:
        mean: Of the differences.
        low: Lower end of the interval.
        high: Upper end.
        differences: Of each common seed.
        p: Two-sided, of a sign-flip permutation test over queries; for information only.
        answer: What the interval says about the bound.
        missing: Why there are no numbers.
    """

    comparison: Comparison
    answer: Answer
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    differences: tuple[float, ...] = ()
    p: float | None = None
    missing: str | None = None


def compare(comparison: Comparison, outcomes: Outcomes, part: Part = "all") -> Finding:
    """Measure a comparison."""
    ours, theirs = outcomes.of(comparison.arm), outcomes.of(comparison.other)
    seeds = sorted(ours.keys() & theirs.keys())
    if len(seeds) < LEAST_SEEDS:
        return Finding(
            comparison,
            "open",
            missing=f"{comparison.arm!r} and {comparison.other!r} have {len(seeds)} finished "
            f"seeds in common, {LEAST_SEEDS} are needed",
        )
    metric, against = comparison.metric, comparison.other_metric or comparison.metric
    one = [metric.values(ours[seed], part) for seed in seeds]
    two = [against.values(theirs[seed], part) for seed in seeds]
    if not one[0] or not two[0]:
        return Finding(comparison, "open", missing=f"no task counts for {metric.name!r}")
    differences = [_mean(a) - _mean(b) for a, b in zip(one, two, strict=True)]
    queries = _query_error(one, two)
    low, high = interval(differences, queries)
    return Finding(
        comparison,
        answer_of(low, high, comparison.bound),
        mean=sum(differences) / len(differences),
        low=low,
        high=high,
        differences=tuple(differences),
        p=_p_value(one, two),
    )


def interval(differences: Sequence[float], query_error: float) -> tuple[float, float]:
    """The 95 % interval of a mean difference: see the module."""
    from scipy.stats import t

    count = len(differences)
    mean = sum(differences) / count
    seed_error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    half = math.hypot(float(t.ppf(0.975, count - 1)) * seed_error, _NORMAL * query_error)
    return mean - half, mean + half


def answer_of(low: float, high: float, bound: float) -> Answer:
    """What an interval says of a bound."""
    if low > bound:
        return "yes"
    return "no" if high < bound else "open"


def _mean(values: Mapping[str, Values]) -> float:
    return sum(float(value_Q.mean()) for value_Q in values.values()) / len(values)


def _averaged(seeds: Sequence[Mapping[str, Values]]) -> dict[str, Values]:
    return {task: np.mean([values[task] for values in seeds], axis=0) for task in seeds[0]}


def _query_error(one: Sequence[Mapping[str, Values]], two: Sequence[Mapping[str, Values]]) -> float:
    """Standard error over queries; paired where both arms answer the same ones."""
    ours, theirs = _averaged(one), _averaged(two)
    if ours.keys() == theirs.keys():
        return _error({task: ours[task] - theirs[task] for task in ours})
    return math.hypot(_error(ours), _error(theirs))


def _error(values: Mapping[str, Values]) -> float:
    parts = [
        float(value_Q.var(ddof=1)) / len(value_Q) for value_Q in values.values() if len(value_Q) > 1
    ]
    return math.sqrt(sum(parts)) / max(1, len(values))


def _p_value(
    one: Sequence[Mapping[str, Values]], two: Sequence[Mapping[str, Values]]
) -> float | None:
    """Sign-flip test over queries of the differences averaged over seeds; tasks weigh equally."""
    ours, theirs = _averaged(one), _averaged(two)
    if ours.keys() != theirs.keys():
        return None
    from scipy.stats import permutation_test

    parts = [(ours[task] - theirs[task]) / len(ours[task]) for task in ours]
    difference_Q = np.concatenate(parts)
    if not difference_Q.any():
        return 1.0
    found = permutation_test(
        (difference_Q,),
        lambda sample, axis: sample.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2000,
        batch=200,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
