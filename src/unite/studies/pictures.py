"""The pictures of a report: every arm's scores with their spread, and every claim's intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from unite.errors import StudyError
from unite.studies.comparison import Finding
from unite.studies.outcome import Outcomes
from unite.studies.study import Study
from unite.studies.tables import reported, told
from unite.studies.verdict import Verdict
from unite.whole import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"yes": "#2b8a3e", "no": "#c92a2a", "open": "#868e96"}
_INCH_A_ROW = 0.32


def draw(
    study: Study, outcomes: Outcomes, verdicts: Sequence[Verdict], folder: Path
) -> dict[str, str]:
    """Draw what there is to draw.

    Returns:
        File names by what they show.
    """
    drawn = {}
    if reported(outcomes):
        drawn["Scores of every arm: mean and standard deviation over seeds"] = _save(
            _scores(study, outcomes), folder / "scores.png"
        )
    findings = [f for verdict in verdicts for f in verdict.findings if not f.missing]
    if findings:
        drawn["Differences with their 95 % intervals; a tick marks the bound"] = _save(
            _intervals(findings), folder / "differences.png"
        )
    return drawn


def assert_drawable() -> None:
    """Tell that a report cannot be written before hours are spent on its runs.

    Raises:
        StudyError: A library for pictures or intervals is not installed.
    """
    missing = [name for name in ("matplotlib", "scipy") if find_spec(name) is None]
    if missing:
        raise StudyError(
            f"A study's report needs {' and '.join(missing)}, not installed here.",
            "Install it: pip install 'unite-embed[studies]'.",
        )


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _scores(study: Study, outcomes: Outcomes) -> Figure:
    arms = reported(outcomes)
    columns = min(3, len(study.metrics))
    rows = -(-len(study.metrics) // columns)
    figure = _figure(4.2 * columns, rows * (0.9 + _INCH_A_ROW * len(arms)))
    axes: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, metric in enumerate(study.metrics):
        axis = axes[place // columns][place % columns]
        for line, arm in enumerate(arms):
            found = outcomes.scores(arm, metric, study.part)
            scores = [100 * score for score in found if not math.isnan(score)]
            if not scores:
                continue
            error = stdev(scores) if len(scores) > 1 else 0.0
            axis.barh(line, mean(scores), xerr=error, color="#4dabf7", ecolor="#343a40")
            axis.plot(scores, [line] * len(scores), ".", color="#343a40", markersize=4)
        axis.set_title(f"{metric.name}, %", fontsize=10)
        axis.set_yticks(range(len(arms)), arms, fontsize=8)
        axis.set_ylim(len(arms) - 0.5, -0.5)
    for place in range(len(study.metrics), rows * columns):
        axes[place // columns][place % columns].axis("off")
    return figure


def _intervals(findings: Sequence[Finding]) -> Figure:
    figure = _figure(9.0, 1.2 + _INCH_A_ROW * len(findings))
    axis = figure.subplots()
    axis.axvline(0, color="#ced4da")
    for line, finding in enumerate(findings):
        colour = _COLOURS[finding.answer]
        low, mid, high = (100 * value for value in (finding.low, finding.mean, finding.high))
        axis.plot([low, high], [line, line], color=colour, linewidth=2)
        axis.plot(mid, line, "o", color=colour, markersize=5)
        axis.plot(100 * finding.comparison.bound, line, "|", color="#343a40", markersize=12)
    axis.set_yticks(range(len(findings)), [told(finding) for finding in findings], fontsize=8)
    axis.set_ylim(len(findings) - 0.5, -0.5)
    axis.set_xlabel("points of R@1")
    return figure


def _save(figure: Figure, path: Path) -> str:
    with whole(path) as draft:
        figure.savefig(draft, format="png", dpi=110)
    return path.name
