"""Queries that went wrong as a contact sheet: what was asked, what came, what was wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unite.evaluation.results import Case
from unite.evaluation.saved import Saved
from unite.sheets import Section, SheetHit
from unite.types import Item

MOST = 12
"""Queries on a sheet: a page of them can still be looked through."""


def sections(runs: Sequence[Saved], most: int = MOST) -> list[Section]:
    """A section for each query that went wrong: the worst of every task, then the next worst."""
    cases = [
        (place, f"{run.model} · {task} ({split})", case)
        for run in runs
        for (task, split), cases in run.cases.items()
        for place, case in enumerate(cases)
    ]
    cases.sort(key=lambda part: part[0])  # stable: tasks keep their order
    return [
        Section(title=title, query=case.query, hits=_hits(case), caption=_caption(case))
        for _, title, case in cases[:most]
    ]


def _hits(case: Case) -> list[SheetHit]:
    """What came first, then the answer unless it is among them."""
    hits = [_hit(item, score, right) for item, score, right in case.hits]
    if any(right for _, _, right in case.hits):
        return hits
    return [*hits, _hit(case.answer, case.answer_score or 0.0, True)]


def _caption(case: Case) -> str:
    if np.isinf(case.rank):
        return "the answer, shown last, could not be embedded"
    shown = "" if any(right for _, _, right in case.hits) else ", shown last,"
    return f"the answer{shown} has rank {int(case.rank)}"


def _hit(item: Item, score: float, right: bool) -> SheetHit:
    paths = [*(str(path) for path in item.images), *(clip.path for clip in item.videos)]
    return SheetHit(
        path=paths[0] if paths else str(item.id),
        modality=item.modality.label,
        score=score,
        text=item.text or "",
        start=item.videos[0].start if item.videos else None,
        end=item.videos[0].end if item.videos else None,
        expected=right,
    )
