from pathlib import Path

import pytest
from tests.studies.conftest import finish, ranks, task

from unite.studies.arm import Setting
from unite.studies.masking import (
    MASKING,
    TEMPERATURES,
    TUNING_SEED,
    WAYS,
    batch_sizes,
    chosen_temperature,
    claims,
    main,
    tuning,
)
from unite.studies.node import plan
from unite.studies.outcome import Outcomes
from unite.studies.study import planned


@pytest.fixture
def whole(world: Path) -> Setting:
    return Setting(data=str(world))


def test_the_temperature_is_chosen_on_the_tuning_queries_alone(
    whole: Setting, tmp_path: Path
) -> None:
    runs = plan(tuning(whole, Outcomes(())), whole, tmp_path)
    assert {run.seed for run in runs} == {TUNING_SEED}
    assert TUNING_SEED not in whole.seeds
    for run in runs:
        best = run.arm.name == "MAMCL at τ 0.05"
        tempting = run.arm.name == "MAMCL at τ 0.02"
        on_tuning, on_test = (1 if best else 2), (1 if tempting else 2)
        finish(run, [task([on_tuning, on_test] * 20)])
    outcomes = Outcomes(runs)
    assert chosen_temperature("MAMCL", outcomes) == 0.05
    assert chosen_temperature("MAMCL", Outcomes(())) == 0.03
    (arm,) = [arm for arm in main(whole, outcomes) if arm.name == "MAMCL"]
    assert "loss.temperature=0.05" in arm.stages[1].changes


def test_every_objective_gets_the_same_search(whole: Setting) -> None:
    names = [arm.name for arm in tuning(whole, Outcomes(()))]
    assert len(names) == len(WAYS) * len(TEMPERATURES) == len(set(names))


def test_the_three_plain_objectives_are_what_they_are_called(
    whole: Setting, tmp_path: Path
) -> None:
    runs = {run.arm.name: run.last.recipe for run in planned(MASKING, whole, tmp_path)}
    assert (runs["InfoNCE"].loss.masked, runs["InfoNCE"].data.batches) == (False, "mixed")
    assert (runs["MAMCL"].loss.masked, runs["MAMCL"].data.batches) == (True, "mixed")
    single = runs["single-modality batches"]
    assert (single.loss.masked, single.data.batches) == (False, "single-modality")
    assert runs["MAMCL, batch 2048"].optimiser.batch_size == 2048
    assert runs["MAMCL, batch 2048"].run.chunk_tokens


def test_steps_are_scaled_once(whole: Setting, tmp_path: Path) -> None:
    half = Setting(data=whole.data, scale=0.5)
    (run, *_) = plan(batch_sizes(half, Outcomes(())), half, tmp_path)
    assert run.last.recipe.optimiser.batch_size == 512
    assert run.last.recipe.optimiser.steps == 110  # 440 / √4 / 2


def test_equal_negatives_are_about_equal(world: Path, whole: Setting, tmp_path: Path) -> None:
    """What MAMCL's mask leaves of 128 rows, against batches of 32 of one modality."""
    from unite.training.composition import compose
    from unite.training.recipe import sources_of
    from unite.training.stages import plan_run, read_store

    runs = {run.arm.name: run.last.recipe for run in planned(MASKING, whole, tmp_path)}
    negatives = {}
    for name in ("MAMCL", "single-modality, 32 rows × 4"):
        recipe = runs[name]
        pairs = read_store(sources_of(recipe), tmp_path / name, recipe, lambda *_: None)
        batches = plan_run(recipe, pairs).rows
        negatives[name] = compose(pairs.kind_N[batches] % 8, masked=True).negatives
    assert negatives["single-modality, 32 rows × 4"] == 32
    assert negatives["MAMCL"] == pytest.approx(32, rel=0.6)


def test_every_claim_is_about_arms_that_are_run(whole: Setting, tmp_path: Path) -> None:
    arms = {run.arm.name for run in planned(MASKING, whole, tmp_path)}
    for claim in claims(Outcomes(())):
        for comparison in claim.comparisons:
            assert {comparison.arm, comparison.other} <= arms
    assert MASKING.floor.arm in arms


def test_the_prize_is_won_by_numbers(whole: Setting, tmp_path: Path) -> None:
    """A candidate that matches both is supported; one that loses a gallery is not."""
    from unite.studies.study import verdicts

    runs = plan(main(whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        winner = run.arm.name in ("InfoNCE + queue", "InfoNCE")
        mixed = task(ranks(80 if winner else 40, 400), "mixed", "mixed")
        finish(run, [task(ranks(360, 400)), mixed])
    found = {verdict.claim.text.partition(":")[0]: verdict for verdict in
             verdicts(MASKING, Outcomes(runs))}  # fmt: skip
    assert found["InfoNCE + queue"].ruling == "supported"
    assert found["MAMCL + 0.3 across"].ruling == "mixed"
    assert found["MAMCL gains on InfoNCE inside a modality once batches are large."].ruling == (
        "no verdict"
    )
