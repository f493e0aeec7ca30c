from pathlib import Path

import pytest

from unite.studies.arm import Setting
from unite.studies.composition import ADDED, COMPOSITION, claims
from unite.studies.kinds import KINDS
from unite.studies.node import Run
from unite.studies.outcome import Outcomes
from unite.studies.study import planned


@pytest.fixture
def runs(world: Path, tmp_path: Path) -> dict[str, Run]:
    return {
        run.arm.name: run
        for run in planned(COMPOSITION, Setting(data=str(world), seeds=(4,)), tmp_path)
    }


def used(run: Run) -> dict[str, float]:
    return {name: share for name, share in run.last.recipe.data.weights.items() if share}


def test_each_mix_holds_its_kinds_in_equal_parts(runs: dict[str, Run]) -> None:
    assert used(runs["stage 1: TT"]) == {"tt": 1.0}
    assert used(runs["stage 1: TI"]) == {"ti_coarse": 0.5, "ti_fine": 0.5}
    assert used(runs["stage 1: TI + TV"]) == pytest.approx(
        {"ti_coarse": 1 / 6, "ti_fine": 1 / 6, "tv_coarse": 1 / 3, "tv_fine": 1 / 3}
    )


def test_all_begin_from_one_untrained_model(runs: dict[str, Run]) -> None:
    begun = {run.nodes[0].folder for run in runs.values()}
    assert len(begun) == 1
    assert all(run.nodes[0].untrained for run in runs.values())
    assert set(next(iter(runs.values())).nodes[0].recipe.data.weights) >= {"tt", "tv_fine"}


def test_what_is_added_has_its_share(runs: dict[str, Run]) -> None:
    weights = used(runs["stage 2: + TV fine"])
    assert weights["tv_fine"] == pytest.approx(ADDED)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert not set(used(runs["stage 2: + nothing"])) & {
        s for names in KINDS.values() for s in names
    }


def test_fine_video_is_in_one_stage_or_the_other(runs: dict[str, Run]) -> None:
    first, last = runs["fine video in stage 1"], runs["fine video in stage 2"]
    assert first.nodes[1].recipe.data.weights["tv_fine"] > 0
    assert first.last.recipe.data.weights["tv_fine"] == 0
    assert last.nodes[1].recipe.data.weights["tv_fine"] == 0
    assert last.last.recipe.data.weights["tv_fine"] > 0
    clips = [sum(share for name, share in used(run).items() if name.startswith("tv_"))
             for run in (first, last)]  # fmt: skip
    assert clips == pytest.approx([ADDED, ADDED])


def test_budgets_are_equal(runs: dict[str, Run]) -> None:
    for group in ("stage 1", "stage 2"):
        seen = {
            sum(node.pairs for node in run.nodes) for run in runs.values() if run.arm.group == group
        }
        assert len(seen) == 1


def test_every_claim_is_about_arms_that_are_run(world: Path, runs: dict[str, Run]) -> None:
    for claim in claims(Setting(data=str(world)), Outcomes(())):
        for comparison in claim.comparisons:
            assert {comparison.arm, comparison.other} <= set(runs)
