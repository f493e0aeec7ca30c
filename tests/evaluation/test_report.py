from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from unite.evaluation import charts, failures, tables
from unite.evaluation.report import LOST, OTHERS, rows
from unite.evaluation.results import Case, Score
from unite.evaluation.saved import Saved
from unite.evaluation.tasks import mmeb
from unite.types import Clip, Item


def score(task: str, main: float = 0.5, queries: int = 1000, metric: str = "R@1") -> Score:
    names = ("R@1", "R@5", "R@10", "R@50", "P@1")
    return Score(
        task=task, split="test", family="fine", queries=queries, candidates=queries,
        main_score=metric, metrics=dict.fromkeys(names, main),
        intervals=dict.fromkeys(names, (main - 0.02, main + 0.03)), by_target={},
    )  # fmt: skip


def saved(*scores: Score, model: str = "m", name: str = "run", **cases: list[Case]) -> Saved:
    return Saved(
        path=Path(f"{name}.json"), model=model, model_ids={"48": "abc"}, versions={"numpy": "2"},
        settings={"seed": 0}, revisions={"msrvtt": "v0"}, annotations={}, ranks_digest="", scores=list(scores),
        cases={(task, "test"): found for task, found in cases.items()},
    )  # fmt: skip


def test_published_scores_stand_beside_with_their_source() -> None:
    runs = [saved(score("carebench-general/t2v", 0.8)), saved(score("urban1k/t2i"), model="n")]
    found = {(row.task, row.metric): row for row in rows(runs)}
    row = found["carebench-general/t2v", "R@1"]
    assert row.is_main
    assert row.ours[0] is not None
    assert row.ours[0].value == pytest.approx(80.0)
    assert row.ours[1] is None
    assert "UNITE-Base 2B 78.1" in tables.beside(row.published)
    assert "UNITE-Base 7B ~85.9" in tables.beside(row.published)
    assert tables.beside(found["carebench-general/t2v", "R@5"].published) == "UNITE-Base 2B 95.5"
    text = tables.markdown(runs, rows(runs))
    assert "**80.0 [78.0, 83.0]**" in text
    assert "radar chart" in text
    assert "48 frames abc" in text
    assert "data revisions: msrvtt v0" in text


def test_other_sizes_and_failures_are_told() -> None:
    few = replace(score("urban1k/t2i", queries=10), failed_candidates=2)
    (main, *_) = rows([saved(few)])
    assert main.note == (
        f"holds 10 × 10, published 1000 × 1000; 2 candidates could not be embedded: {LOST}"
    )


def test_failures_and_pools_are_told_of_each_run() -> None:
    task = "mmeb-HatefulMemes"
    one = replace(score(task, metric="P@1"), pools=(2, 2))
    runs = [saved(one), saved(replace(one, failed_candidates=3))]
    found = {row.task: row.note for row in rows(runs)}
    told = f"0, 3 candidates could not be embedded: {LOST}"
    assert found[task] == f"each query among 2 candidates; {told}"
    assert found["mmeb:classification"].endswith(told)


def test_a_name_is_drawn_as_it_is() -> None:
    runs = [
        saved(score("docci/t2i"), model=name, name=name) for name in ("runs/$x_{$", "_own", "nul\0")
    ]
    svg = charts.bars(rows(runs), tables.labels(runs))
    assert "runs/$x_{$" in svg
    assert "_own" in svg
    ElementTree.fromstring(svg)


def test_groups_of_mmeb_by_hand() -> None:
    vqa = [f"mmeb-{name}" for part in mmeb.GROUPS["vqa"] for name in part]
    some = [score(name, 0.4 + 0.02 * n, metric="P@1") for n, name in enumerate(vqa)]
    found = {row.task: row for row in rows([saved(*some)])}
    group = found["mmeb:vqa"]
    assert group.ours[0] is not None
    assert group.ours[0].value == pytest.approx(49.0)
    assert "UNITE-Instruct 7B 65.1" in tables.beside(group.published)
    assert found["mmeb:overall"].published == ()
    assert "10 of 36" in found["mmeb:overall"].note
    assert "6 of 20" in found["mmeb:in-distribution"].note
    assert "mmeb:grounding" not in found


def test_other_annotations_are_told_of_unions_and_groups_too() -> None:
    tasks = ("urban1k/t2i", "all galleries", "mmeb-OK-VQA")
    one = saved(*(score(task, metric="P@1" if "mmeb" in task else "R@1") for task in tasks))
    read = {"urban1k": "1", "mmeb-OK-VQA": "1"}
    runs = [replace(one, annotations=read), replace(one, annotations=dict.fromkeys(read, "2"))]
    told = {row.task for row in rows(runs) if OTHERS in row.note}
    assert told == {*tasks, "mmeb:vqa", "mmeb:in-distribution", "mmeb:overall"}
    assert not [row for row in rows([runs[0], runs[0]]) if OTHERS in row.note]
    only = [replace(runs[0], scores=one.scores[:1]), runs[1]]  # one run has a single task of both
    assert {row.task for row in rows(only) if OTHERS in row.note} == {"urban1k/t2i"}


def test_dual_softmax_is_a_row_of_its_own_and_never_main() -> None:
    again = replace(score("msrvtt/t2v"), reranked={"R@1": 0.6})
    found = {row.metric: row for row in rows([saved(again)])}
    row = found["dual softmax R@1"]
    assert not row.is_main
    assert row.ours[0] is not None
    assert row.ours[0].value == pytest.approx(60.0)
    assert "46.5" in tables.beside(row.published)
    assert found["R@1"].published == ()


def test_a_page_escapes_what_it_shows_and_names_runs_apart() -> None:
    runs = [saved(score("docci/t2i"), model="<m>", name=n) for n in ("a", "b")]
    page = tables.html(runs, rows(runs))
    assert "<m>" not in page
    assert "&lt;m&gt; (a)" in page
    assert "| <m> (a) |" in tables.markdown(runs, rows(runs))


def test_pictures_are_the_same_each_time_and_name_what_they_show() -> None:
    runs = [saved(*(score(f"carebench-{part}/{way}") for part in ("general", "spatial", "temporal")
                    for way in ("t2v", "v2t")))]  # fmt: skip
    found, names = rows(runs), tables.labels(runs)
    bars, radar = charts.bars(found, names), charts.radar(found, names)
    assert radar is not None
    assert (bars, radar) == (charts.bars(found, names), charts.radar(found, names))
    for svg in (bars, radar):
        assert svg.startswith("<svg")
        assert re.search("carebench-temporal", svg)
    assert "UNITE-Base 7B (published)" in radar  # it has a score on every axis
    assert "Long-CLIP (published)" not in radar
    assert "Long-CLIP (published)" in bars


def test_two_axes_are_no_radar() -> None:
    runs = [saved(score("docci/t2i"), score("docci/i2t"))]
    assert charts.radar(rows(runs), ["m"]) is None


def test_a_sheet_shows_what_came_and_what_was_wanted() -> None:
    cases = [
        Case(query=Item(text="q"), answer=Item(videos=(Clip("right.mp4", 1.0, 2.0),), id="r"),
             answer_score=0.1, rank=rank, hits=[(Item(images=("wrong.png",), id="w"), 0.9, False)])
        for rank in (7.0, float("inf"))
    ]  # fmt: skip
    sections = failures.sections([saved(one=cases, two=cases[:1])], most=2)
    assert [section.title for section in sections] == ["m · one (test)", "m · two (test)"]
    wrong, right = sections[0].hits
    assert (wrong.path, wrong.expected) == ("wrong.png", False)
    assert (right.path, right.expected, right.times) == ("right.mp4", True, "0:01.0–0:02.0")
    assert sections[0].caption == "the answer, shown last, has rank 7"
    (_, _, last) = failures.sections([saved(one=cases, two=cases[:1])])
    assert "could not be embedded" in last.caption


def test_runs_over_other_annotations_are_told_apart() -> None:
    first, second = saved(score("urban1k/t2i")), saved(score("urban1k/t2i"), name="b")
    one = replace(first, annotations={"urban1k": "1"})
    (main, *_) = rows([one, replace(second, annotations={"urban1k": "2"})])
    assert "other annotations: not to be compared" in main.note
    (main, *_) = rows([one, replace(second, annotations={"urban1k": "1"})])
    assert "annotations" not in main.note
    own = [replace(run, scores=[score("mine")]) for run in (first, second)]
    (main, *_) = rows([replace(run, annotations={"world": str(n)}) for n, run in enumerate(own)])
    assert "other annotations" in main.note


def test_a_mean_over_a_part_of_a_group_is_no_bar() -> None:
    names = [f"mmeb-{subset}" for part in mmeb.GROUPS["vqa"] for subset in part]
    whole = saved(*(score(name, metric="P@1") for name in names))
    part = saved(score("mmeb-ImageNet-1K", metric="P@1"), name="b")
    other = saved(score("mmeb-Country211", metric="P@1"), name="c")
    found = rows([whole, part, other])
    kept = {row.task: row.is_whole for row in found if row.task.startswith("mmeb:")}
    assert kept["mmeb:vqa"]
    assert not kept["mmeb:classification"]
    assert not kept["mmeb:overall"]
    (classes,) = (row for row in found if row.task == "mmeb:classification")
    assert "of other tasks in each run" in classes.note
    drawn = charts.bars(found, ["a", "b", "c"])
    assert "mmeb:vqa" in drawn
    assert "mmeb:classification" not in drawn


def test_names_tell_runs_apart_and_break_no_table() -> None:
    runs = [saved(score("docci/t2i"), name=name, model="a|b\n<i>") for name in ("x/run", "y/run")]
    names = tables.labels(runs)
    assert tables.labels([runs[0], runs[0]]) == ["a|b\n<i> (1)", "a|b\n<i> (2)"]
    assert len(set(names)) == 2
    assert all(path in name for path, name in zip(("x/run", "y/run"), names, strict=True))
    lines = tables.markdown(runs, rows(runs)).split("\n")
    head = next(line for line in lines if line.startswith("| task"))
    assert head.count(" | ") == 5
