"""What a study found, for people (Markdown, HTML) and for machines (JSON)."""

from __future__ import annotations

import base64
import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unite.studies.arm import Setting
from unite.studies.comparison import Finding
from unite.studies.node import FACTS, fingerprint, write_json
from unite.studies.outcome import Outcome, Outcomes
from unite.studies.pictures import draw
from unite.studies.study import Study, planned, verdicts
from unite.studies.tables import (
    Table,
    failure_table,
    family_table,
    finding_table,
    part_of,
    score_tables,
    told,
)
from unite.studies.verdict import RULE, Verdict
from unite.whole import write_text

_PACKAGES = ("unite-embed", "torch", "transformers", "numpy")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-size:13px;display:block;"
    "overflow-x:auto}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
    ".supported{color:#2b8a3e}.not{color:#c92a2a}.mixed,.open,.no{color:#666}"
)

Block = tuple[str, str | Table | Path]
"""A piece of a report: `h1`, `h2`, `h3`, `p`, `li`, `table` or `picture`, with what it holds."""


def write_report(
    study: Study, setting: Setting, outcomes: Outcomes, folder: Path, *, kept: Path | None = None
) -> list[Verdict]:
    """Write `report.md`, `report.html`, `results.json` and pictures.

    Args:
        study: What was asked.
        setting: With which data, recipes, seeds and scale.
        outcomes: What came of it.
        folder: The study's.
        kept: The folder in which `runs` lies; None: the study's.

    Returns:
        A verdict for each claim.

    Raises:
        StudyError: A library for pictures or intervals is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = verdicts(study, setting, outcomes)
    pictures = draw(study, outcomes, found, folder)
    total = max(len(planned(study, setting, kept or folder)), len(outcomes.runs))
    blocks = list(_blocks(study, setting, outcomes, found, pictures, total))
    write_text(folder / "report.md", "\n\n".join(_markdown(block) for block in blocks) + "\n")
    write_text(folder / "report.html", _html(study.title, blocks, folder))
    write_json(folder / "results.json", results(study, setting, outcomes, found))
    return found


def results(
    study: Study, setting: Setting, outcomes: Outcomes, found: Sequence[Verdict]
) -> dict[str, Any]:
    """All of it as a JSON object; numbers that are not there are null."""
    told_setting = {
        **asdict(setting),
        "data": Path(setting.data).name,  # the rest of its place is this machine's
        "eval_data": setting.scored_in.name,
        "data_fingerprint": fingerprint(Path(setting.data)) if _is_world(setting) else None,
    }
    runs = []
    for run in outcomes.runs:
        outcome = outcomes.of(run.arm.name).get(run.seed)
        row: dict[str, Any] = {
            "arm": run.arm.name,
            "group": run.arm.group,
            "seed": run.seed,
            "chosen": run.arm.chosen or None,
            "folder": run.last.folder.name,
            "error": outcomes.failures.get((run.arm.name, run.seed)),
        }
        if outcome is not None:
            part = part_of(run.arm.group, study)
            row["queries"] = part
            row["scores"] = {m.name: _known(m.of(outcome, part)) for m in study.metrics}
            row |= {"gap": outcome.gap, "pairs": outcome.pairs, "seconds": outcome.seconds}
            row["pairs_per_second"] = outcome.pairs_per_second
        runs.append(row)
    return {
        "study": study.name,
        "setting": told_setting,
        "queries": study.part,
        "rule": RULE,
        "floor": {
            "arm": study.floor.arm,
            "metric": study.floor.metric.name,
            "least": study.floor.least,
        },
        "verdicts": [_verdict_json(verdict) for verdict in found],
        "runs": runs,
        "machine": platform.platform(),
        "versions": {name: version(name) for name in _PACKAGES},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sentence(verdict: Verdict) -> str:
    """A verdict in plain language, with its numbers."""
    if verdict.ruling == "no verdict":
        return f"No verdict: {verdict.reason}."
    parts = [
        f"{told(finding)}: {100 * finding.mean:+.1f} points "
        f"({100 * finding.low:+.1f} to {100 * finding.high:+.1f}; "
        f"claimed above {100 * finding.comparison.bound:+.1f}: {finding.answer})"
        for finding in verdict.findings
    ]
    return f"{verdict.ruling.capitalize()}; {verdict.reason}. {'; '.join(parts)}."


def _blocks(
    study: Study,
    setting: Setting,
    outcomes: Outcomes,
    found: Sequence[Verdict],
    pictures: dict[str, str],
    total: int,
) -> Iterator[Block]:
    yield "h1", study.title
    yield "p", study.question
    yield "h2", "Verdicts"
    yield from (("li", f"{v.claim.text} **{v.ruling.capitalize()}**") for v in found)
    yield "p", f"How they were reached. {RULE}"
    floor = study.floor
    yield (
        "p",
        f"Stated beforehand: nothing is said before {floor.arm!r} reaches R@1 {floor.least:.2f} "
        f"in {floor.metric.name!r}"
        + ("." if floor.usual is None else f" (--floor; the study's own is {floor.usual:.2f})."),
    )
    for verdict in found:
        yield "h3", verdict.claim.text
        yield "p", f"Source: {verdict.claim.source}. {sentence(verdict)}"
        yield "table", finding_table(verdict)
    yield "h2", "Scores"
    for title, name in pictures.items():
        yield "p", title
        yield "picture", Path(name)
    yield "p", "What the columns are, all but new combinations on scenes like those of training:"
    yield from (("li", f"{metric.name}: {metric.meaning}") for metric in study.metrics)
    yield "li", "gap: the mean distance between the mean vectors of two modalities"
    yield "li", "pairs/s: the speed of training; it compares where runs had the machine alone"
    tables = [*score_tables(study, outcomes), family_table(outcomes, study.part)]
    if outcomes.failures:
        tables.append(failure_table(outcomes))
    for table in tables:
        yield "h3", table.title
        yield "table", table
    yield "h2", "Conditions and limits"
    yield from (("li", text) for text in (*_conditions(setting, outcomes, total), *study.limits))


def _length(scale: float) -> str:
    return "in full" if scale == 1 else f"{scale:g} of their length"


def _is_world(setting: Setting) -> bool:
    return (Path(setting.data) / FACTS).exists()


def _conditions(setting: Setting, outcomes: Outcomes, total: int) -> Iterator[str]:
    finished = sum(len(outcomes.of(arm)) for arm in outcomes.arms)
    yield (
        f"Recipes {setting.stage1} and {setting.stage2}, {_length(setting.scale)}; seeds "
        f"{', '.join(map(str, setting.seeds))}; {finished} of {total} runs finished."
    )
    own: dict[str, tuple[int, ...]] = {}
    for run in outcomes.runs:
        if run.arm.seeds is not None:
            own[run.arm.group] = run.arm.seeds
    for group, seeds in own.items():
        yield f"Seeds of the group {group}: {', '.join(map(str, seeds))}."
    if setting.changes:
        yield f"Changes to all recipes: {', '.join(setting.changes)}."
    data = Path(setting.data)
    name = f"small world {fingerprint(data)[:12]}" if _is_world(setting) else data.name
    yield f"Data: {name}; {platform.platform()}."
    if any(task.group_Q for one in _all(outcomes) for task in one.tasks):
        yield "Queries about one medium count as one, by their mean; `unite eval run` counts each."
    yield (
        "One set of data and one model size. ± is the standard deviation over seeds. With three "
        "seeds Student's t is 4.3, so that small differences stay open; p is for information and "
        "decides nothing."
    )


def _all(outcomes: Outcomes) -> Iterator[Outcome]:
    return (one for arm in outcomes.arms for one in outcomes.of(arm).values())


def _markdown(block: Block) -> str:
    kind, content = block
    if isinstance(content, Table):
        line = ["|".join(["", " --- ", *[" ---: "] * (len(content.head) - 1), ""])]
        rows = [content.head, *content.rows]
        cells = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
        return "\n".join([cells[0], *line, *cells[1:]])
    if isinstance(content, Path):
        return f"![{content.stem}]({content})"
    return {"h1": "# ", "h2": "## ", "h3": "### ", "li": "- ", "p": ""}[kind] + content


def _cell(text: str) -> str:
    """On one line: a reason may have several."""
    return " ".join(text.replace("|", "/").split())


def _html(title: str, blocks: Sequence[Block], folder: Path) -> str:
    body = "\n".join(_element(block, folder) for block in blocks)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _element(block: Block, folder: Path) -> str:
    kind, content = block
    if isinstance(content, Table):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in content.head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in content.rows
        )
        return f"<table><tr>{head}</tr>{rows}</table>"
    if isinstance(content, Path):
        data = base64.b64encode((folder / content).read_bytes()).decode()
        return f'<img alt="{escape(content.stem)}" src="data:image/png;base64,{data}">'
    text, _, ruling = content.partition(" **")
    if ruling:
        ruling = ruling.removesuffix("**")
        word = ruling.split(maxsplit=1)[0].lower()
        return f'<{kind}>{escape(text)} <b class="{word}">{escape(ruling)}</b></{kind}>'
    return f"<{kind}>{escape(content)}</{kind}>"


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim.text,
        "source": verdict.claim.source,
        "ruling": verdict.ruling,
        "reason": verdict.reason,
        "comparisons": [_finding_json(finding) for finding in verdict.findings],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "comparison": told(finding),
        "bound": finding.comparison.bound,
        "mean": _known(finding.mean),
        "low": _known(finding.low),
        "high": _known(finding.high),
        "differences": list(finding.differences),
        "p": finding.p,
        "answer": None if finding.missing else finding.answer,
        "missing": finding.missing,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
