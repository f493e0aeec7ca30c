"""The card of a trained model: what it is, from what, how, and what the figures were at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from unite.training.logged import read_metrics
from unite.training.recipe import Recipe

_FRONT = """\
---
library_name: sentence-transformers
pipeline_tag: feature-extraction
tags: [unite, multimodal, embeddings, text, image, video]
{base}---
"""


def model_card(recipe: Recipe, run: Path) -> str:
    """Write the card of the model that a finished run made.

    Args:
        recipe: Of the run.
        run: Its directory; `run.json` and `metrics.jsonl` are read.
    """
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    data = facts["data"]
    start = recipe.model.start
    base = f"base_model: {start}\n" if start and start.count("/") == 1 else ""
    objective = "MAMCL" if recipe.loss.masked else "InfoNCE"
    direction = "both directions" if recipe.loss.symmetric else "query to candidate"
    parts = [
        _FRONT.format(base=base),
        f"# UNITE, {recipe.stage}\n",
        f"Text, images, video and any mix of them as vectors. Trained from "
        f"{f'`{start}`' if start else 'random weights'} with {objective} ({direction}), "
        f"τ {recipe.loss.temperature:g}, by the method of arXiv 2505.19650.\n",
        "```python\nimport unite\n\nmodel = unite.load(\"path/of/this/directory\")\n```\n",
        "## Data\n",
        f"{data['examples']:,} examples in {data['batches']:,} batches of "
        f"{recipe.optimiser.batch_size:,} ({recipe.data.batches}); "
        f"digest `{data['digest'][:16]}`.\n",
        _table(("source", "rows", "examples"), (
            (name, f"{data['rows'].get(name, 0):,}", f"{count:,}")
            for name, count in data["sources"].items()
        )),
        _table(("query → target", "examples"), (
            (name, f"{count:,}") for name, count in data["modality_pairs"].items()
        )),
        "## Figures of the last logged steps\n",
        _last_figures(run / "metrics.jsonl"),
        "## Configuration\n",
        f"Seed {facts['seed']}, {facts['processes']} processes. "
        + ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        + ".\n",
        f"```json\n{recipe.model_dump_json(indent=2, exclude_none=True)}\n```\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _last_figures(path: Path) -> str:
    told = [row for row in read_metrics(path) if row.get("pairs")]
    if not told:
        return "None were logged.\n"
    last = told[-1]
    names = list(last["pairs"]["all"])
    return f"Step {last['step']}, over all rows since the log before.\n\n" + _table(
        ("query → target", *names),
        (
            (label, *(f"{figures[name]:.4g}" for name in names))
            for label, figures in last["pairs"].items()
        ),
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
