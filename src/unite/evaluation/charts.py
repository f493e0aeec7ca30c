"""Main scores as pictures: bars with intervals, and a radar.

matplotlib draws both: axes, legends and error bars are not ours to write again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unite.errors import DataError
from unite.evaluation.report import Cell, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_AXES = 40
LEAST_AXES = 3
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
PALETTE = ("#3b6fd4", "#d4763b", "#2f9e6e", "#9a4fc4", "#c43b5e", "#7a7a2a")


def bars(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Main scores as bars with intervals; published ones as ticks.

    Args:
        rows: Of a report.
        names: Of its runs.

    Returns:
        An SVG document.

    Raises:
        DataError: matplotlib is not installed.
    """
    shown = [row for row in rows if row.is_main and row.is_whole]
    height = 0.8 / max(1, len(names))
    figure, axes = _figure((8.5, 1.2 + 0.32 * len(shown) * max(1, len(names)) ** 0.5))
    place_R = np.arange(len(shown))
    for number, name in enumerate(names):
        cells = [row.ours[number] or Cell(np.nan) for row in shown]
        axes.barh(
            place_R + (number - (len(names) - 1) / 2) * height,
            [one.value for one in cells],
            height,
            xerr=_errors(cells),
            label=_plain(name),
            color=PALETTE[number % len(PALETTE)],
            ecolor="#444",
        )
    _published_ticks(axes, shown)
    axes.set_yticks(place_R, _places(shown), fontsize=7)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("main score, percent")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=7, frameon=False)
    return _svg(figure)


def radar(rows: Sequence[Row], names: Sequence[str]) -> str | None:
    """Main scores as a radar; MMEB stands by its groups.

    Args:
        rows: Of a report.
        names: Of its runs.

    Returns:
        An SVG document; None where there are fewer than three axes or more than forty.

    Raises:
        DataError: matplotlib is not installed.
    """
    main = [row for row in rows if row.is_main and row.is_whole]
    shown = [row for row in main if not row.task.startswith("mmeb-")]
    if not LEAST_AXES <= len(shown) <= MOST_AXES:
        return None
    angle_R = np.linspace(0, 2 * np.pi, len(shown), endpoint=False)
    figure, axes = _figure((7, 6.5), projection="polar")
    for number, name in enumerate(names):
        cells = [row.ours[number] for row in shown]
        _polygon(axes, angle_R, [one.value if one else np.nan for one in cells], name, number)
    for number, (name, values) in enumerate(_published_all(shown).items(), len(names)):
        _polygon(axes, angle_R, values, f"{name} (published)", number, dashed=True)
    axes.set_xticks(angle_R, _places(shown), fontsize=7)
    axes.set_ylim(0, 100)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.15, -0.18), fontsize=7, frameon=False)
    return _svg(figure)


def _errors(cells: Sequence[Cell]) -> Any:
    low = [0.0 if one.low is None else one.value - one.low for one in cells]
    high = [0.0 if one.high is None else one.high - one.value for one in cells]
    return np.maximum([low, high], 0.0)


def _published_ticks(axes: Axes, rows: Sequence[Row]) -> None:
    models = dict.fromkeys(one.model for row in rows for one in row.published)
    for number, model in enumerate(models):
        points = [
            (one.value, place)
            for place, row in enumerate(rows)
            for one in row.published
            if one.model == model
        ]
        value, place = zip(*points, strict=True)
        axes.scatter(
            value, place, marker="|", s=90, label=_plain(f"{model} (published)"),
            color=PALETTE[::-1][number % len(PALETTE)], zorder=3,
        )  # fmt: skip


def _published_all(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Published models that have a score on every axis."""
    known = [{one.model: one.value for one in row.published} for row in rows]
    return {
        model: [scores[model] for scores in known]
        for model in known[0]
        if all(model in scores for scores in known)
    }


def _polygon(
    axes: Axes,
    angle_R: Any,
    values: Sequence[float],
    name: str,
    number: int,
    *,
    dashed: bool = False,
) -> None:
    color = PALETTE[number % len(PALETTE)]
    closed = ([*angle_R, angle_R[0]], [*values, values[0]])
    axes.plot(*closed, "--" if dashed else "-", color=color, label=_plain(name), linewidth=1.4)
    if not dashed:
        axes.fill(*closed, color=color, alpha=0.12)


def _places(rows: Sequence[Row]) -> list[str]:
    return [_plain(f"{row.task}\n{row.split}".strip()) for row in rows]


def _plain(name: str) -> str:
    """A label that is shown as it is: `$` opens no formula, `_` before it hides nothing.

    A control character would make the picture unreadable.
    """
    escaped = _NOT_IN_XML.sub("�", name).replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def _figure(size: tuple[float, float], projection: str | None = None) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise DataError(
            "Pictures of a report need matplotlib.", "Install it: pip install 'unite-embed[eval]'"
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot(projection=projection)


def _svg(figure: Figure) -> str:
    """The figure as SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "unite"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
