"""What a study may say of a claim, by one rule that is written beside every verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unite.studies.comparison import LEAST_SEEDS, Answer, Comparison, Finding, compare
from unite.studies.outcome import Metric, Outcomes, Part

Ruling = Literal["supported", "not supported", "mixed", "open", "no verdict"]
RULE = (
    "A comparison's 95 % interval joins the spread over seeds (Student's t on the differences of "
    "equal seeds) with the sampling of queries (their standard error). It says yes if it lies "
    "above the bound, no if it lies below, and is open if it holds it. A claim is supported if all "
    "its comparisons say yes, not supported if none says yes and at least one says no (a joint "
    "claim, of which every part must hold, if any says no), open if all are, and mixed otherwise. "
    f"Fewer than {LEAST_SEEDS} common seeds, a missing arm, or a reference that has not learned "
    "give no verdict. Each claim is judged by itself: nothing is corrected for how many there are."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that a study can support or not.

    Attributes:
        text: In plain words.
        source: Who says or asks it: the paper, its readers, we ourselves.
        comparisons: What it comes to.
        joint: Whether it is refuted by one of them alone.
    """

    text: str
    source: str
    comparisons: tuple[Comparison, ...]
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Floor:
    """What the reference arm must have learned before anything is said.

    Attributes:
        arm: The reference.
        metric: Its score.
        least: The mean over seeds that counts.
        usual: What the study itself states, where the user stated another.
    """

    arm: str
    metric: Metric
    least: float
    usual: float | None = None

    def missed(self, outcomes: Outcomes, part: Part = "all") -> str | None:
        """Why nothing may be said; None if the arm has learned."""
        scores = outcomes.scores(self.arm, self.metric, part)
        if not scores:
            return f"the reference arm {self.arm!r} has no result"
        mean = sum(scores) / len(scores)
        if math.isnan(mean):
            return f"no task counts for {self.metric.name!r}, by which the reference is judged"
        if mean < self.least:
            return (
                f"the reference arm {self.arm!r} has not learned: R@1 {mean:.3f} in "
                f"{self.metric.name!r}, {self.least:.2f} was stated beforehand"
            )
        return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a claim, and why."""

    claim: Claim
    ruling: Ruling
    findings: tuple[Finding, ...]
    reason: str


def judge(claim: Claim, outcomes: Outcomes, floor: Floor | None, part: Part = "all") -> Verdict:
    """Decide a claim by `RULE`."""
    findings = tuple(compare(each, outcomes, part) for each in claim.comparisons)
    missed = floor.missed(outcomes, part) if floor is not None else None
    missing = [finding.missing for finding in findings if finding.missing]
    if missed or missing:
        return Verdict(claim, "no verdict", findings, missed or str(missing[0]))
    ruling = rule([finding.answer for finding in findings], joint=claim.joint)
    counts = {
        answer: [f.answer for f in findings].count(answer) for answer in ("yes", "no", "open")
    }
    said = ", ".join(f"{count} {answer}" for answer, count in counts.items() if count)
    joint = ", none of which may say no" if claim.joint and len(findings) > 1 else ""
    return Verdict(claim, ruling, findings, f"of {len(findings)} comparisons{joint}: {said}")


def rule(answers: Sequence[Answer], *, joint: bool = False) -> Ruling:
    """A claim's ruling from what its comparisons say, of which there is at least one."""
    if "no" in answers and (joint or "yes" not in answers):
        return "not supported"
    said = set(answers)
    if said == {"yes"}:
        return "supported"
    return "open" if said == {"open"} else "mixed"
