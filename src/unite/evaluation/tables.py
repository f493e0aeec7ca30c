"""A report as Markdown and as one HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from unite.evaluation.facts import Published
from unite.evaluation.report import Cell, Row
from unite.evaluation.saved import Saved

APPROXIMATE = "~"
"""Before a published score that was read off a chart (±0.4)."""


def labels(runs: Sequence[Saved]) -> list[str]:
    """A name for each run: its model; where two have the same with its file, folder or number."""
    names = [run.model for run in runs]
    for places in (
        [run.path.stem for run in runs],
        [f"{run.path.parent.name}/{run.path.stem}" for run in runs],
        [str(number) for number, _ in enumerate(runs, 1)],
    ):
        names = [
            f"{run.model} ({place})" if names.count(name) > 1 else name
            for run, name, place in zip(runs, names, places, strict=True)
        ]
    return names


def cell(value: Cell | None) -> str:
    """A number with its interval."""
    if value is None:
        return "–"
    if value.low is None or value.high is None:
        return f"{value.value:.1f}"
    return f"{value.value:.1f} [{value.low:.1f}, {value.high:.1f}]"


def beside(published: Sequence[Published]) -> str:
    """Published scores in one cell."""
    return ", ".join(
        f"{one.model} {'' if one.exact else APPROXIMATE}{one.value:.1f}" for one in published
    )


def sources(rows: Sequence[Row]) -> list[str]:
    """Where the published scores of a report were taken from, each once."""
    return list(dict.fromkeys(one.where for row in rows for one in row.published))


def conditions(run: Saved) -> list[str]:
    """What a reader needs to repeat a run."""
    ids = ", ".join(f"{frames} frames {name}" for frames, name in run.model_ids.items())
    parts: Mapping[str, Mapping[str, object]] = {
        "versions": run.versions, "settings": run.settings, "data revisions": run.revisions,
    }  # fmt: skip
    return [
        f"{run.model}: {ids}",
        *(
            f"{name}: " + ", ".join(f"{key} {value}" for key, value in part.items())
            for name, part in parts.items()
        ),
    ]


def markdown(runs: Sequence[Saved], rows: Sequence[Row]) -> str:
    """The report as Markdown."""
    names = labels(runs)
    head = ["task", "metric", *names, "published", "note"]
    lines = [
        "# Evaluation",
        "",
        "Percent; in brackets the bootstrap interval at 95 %. "
        f"{APPROXIMATE} was read off a chart (±0.4). Main scores are bold.",
        "",
        _written(head),
        "|---|---|" + "--:|" * len(names) + "---|---|",
        *(_line(row) for row in rows),
        "",
        "Published scores are from:",
        "",
        *(f"- {where}" for where in sources(rows)),
        "",
        "## Conditions",
        "",
        *(f"- {line}" for run in runs for line in conditions(run)),
        "",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    name = f"{row.task} ({row.split})" if row.split else row.task
    values = [f"**{cell(one)}**" if row.is_main else cell(one) for one in row.ours]
    cells = [name, row.metric, *values, beside(row.published), row.note]
    return _written(cells)


def _written(cells: Sequence[str]) -> str:
    """A line of a table, whatever its cells hold."""
    plain = (" ".join(text.split()).replace("|", "\\|") for text in cells)
    return f"| {' | '.join(plain)} |"


def html(runs: Sequence[Saved], rows: Sequence[Row], pictures: Sequence[str] = ()) -> str:
    """The report as a page.

    Args:
        runs: The runs.
        rows: Their rows.
        pictures: SVG documents that are set into the page.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = cell
    environment.filters["beside"] = beside
    template = files("unite").joinpath("templates/report.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        names=labels(runs),
        rows=rows,
        sources=sources(rows),
        conditions=[line for run in runs for line in conditions(run)],
        pictures=pictures,
        approximate=APPROXIMATE,
    )
