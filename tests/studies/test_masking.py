from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.studies.conftest import finish, ranks, task

from unite.errors import StudyError
from unite.studies.arm import Arm, Setting
from unite.studies.masking import (
    CHUNK_TOKENS,
    INFONCE_AGAIN,
    MASKING,
    PLAIN,
    SINGLE_AGAIN,
    TEMPERATURES,
    TUNING_SEED,
    WAYS,
    WINNER,
    batch_sizes,
    candidate,
    chosen_temperature,
    claims,
    confirmation,
    further,
    main,
    other_batches,
    tuning,
)
from unite.studies.node import FAILURE, plan, write_json
from unite.studies.outcome import Outcomes
from unite.studies.study import planned


@pytest.fixture
def whole(world: Path) -> Setting:
    return Setting(data=str(world))


def test_the_temperature_is_chosen_on_the_tuning_queries_alone(
    whole: Setting, tmp_path: Path
) -> None:
    runs = plan(tuning(tuple(WAYS), whole, Outcomes(())), whole, tmp_path)
    assert {run.seed for run in runs} == {TUNING_SEED}
    assert TUNING_SEED not in whole.seeds
    for run in runs:
        best = run.arm.name == "MAMCL at τ 0.05"
        tempting = run.arm.name == "MAMCL at τ 0.02"
        on_tuning, on_test = (1 if best else 2), (1 if tempting else 2)
        finish(run, [task([on_tuning, on_tuning, on_test, on_test] * 10)])
    outcomes = Outcomes(runs)
    assert chosen_temperature("MAMCL", outcomes) == 0.05
    assert chosen_temperature("MAMCL", Outcomes(())) == 0.03
    (arm,) = [arm for arm in main(tuple(WAYS), whole, outcomes) if arm.name == "MAMCL"]
    assert "loss.temperature=0.05" in arm.stages[1].changes


def test_every_objective_gets_the_same_search(whole: Setting) -> None:
    names = [arm.name for arm in tuning(tuple(WAYS), whole, Outcomes(()))]
    assert len(names) == len(WAYS) * len(TEMPERATURES) == len(set(names))


def test_objectives_that_a_recipe_names_are_what_they_are_called(
    whole: Setting, tmp_path: Path
) -> None:
    runs = {run.arm.name: run.last.recipe for run in planned(MASKING, whole, tmp_path)}
    assert (runs["InfoNCE"].loss.masked, runs["InfoNCE"].data.batches) == (False, "mixed")
    assert (runs["MAMCL"].loss.masked, runs["MAMCL"].data.batches) == (True, "mixed")
    single = runs["single-modality batches"]
    assert (single.loss.masked, single.data.batches) == (False, "single-modality")
    alternating = runs["alternating batches"]
    assert (alternating.loss.masked, alternating.data.batches) == (False, "alternating")
    assert runs["MAMCL, batch 2048"].optimiser.batch_size == 2048
    assert runs["MAMCL, batch 2048"].run.chunk_tokens == CHUNK_TOKENS


def test_chunks_are_the_recipes_where_it_has_them(whole: Setting, tmp_path: Path) -> None:
    own = replace(whole, changes=("run.chunk_tokens=4096",))
    for run in plan(batch_sizes(own, Outcomes(())), own, tmp_path):
        assert run.last.recipe.run.chunk_tokens == 4096


def test_steps_are_scaled_once(whole: Setting, tmp_path: Path) -> None:
    half = Setting(data=whole.data, scale=0.5)
    (run, *_) = plan(batch_sizes(half, Outcomes(())), half, tmp_path)
    assert run.last.recipe.optimiser.batch_size == 512
    assert run.last.recipe.optimiser.steps == 110  # 440 / √4 / 2


@pytest.mark.parametrize(
    ("own", "others"), [(64, [128, 512, 2048]), (512, [128, 2048]), (4096, [256, 1024])]
)
def test_batches_are_of_three_sizes_up_to_the_largest(
    world: Path, tmp_path: Path, own: int, others: list[int]
) -> None:
    setting = Setting(data=str(world), changes=(f"optimiser.batch_size={own}",))
    assert other_batches(setting) == others
    runs = {run.arm.name: run.last.recipe for run in planned(MASKING, setting, tmp_path)}
    equal = runs[f"single-modality, {own // 4} rows × 4"].optimiser
    assert equal.batch_size * equal.accumulation == own
    for claim in claims(setting, Outcomes(())):
        for comparison in claim.comparisons:
            assert {comparison.arm, comparison.other} <= set(runs)
    (larger,) = (each for each in claims(setting, Outcomes(())) if "in batches of" in each.text)
    assert all(f"{size:,}" in larger.text for size in others)
    assert {each.arm for each in larger.comparisons} == {f"MAMCL, batch {size}" for size in others}


def test_a_candidate_is_judged_by_the_seeds_that_all_have(whole: Setting, tmp_path: Path) -> None:
    """One that failed with a hard seed has no advantage of it."""
    names = (*PLAIN, "InfoNCE + queue", "alternating batches")
    runs = plan(main(names, whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        hard = run.seed == 0
        if hard and run.arm.name == "alternating batches":
            continue
        better = run.arm.name == "InfoNCE + queue"
        finish(run, [task(ranks((20 if hard else 90) + better))])
    assert candidate(Outcomes(runs)) == "InfoNCE + queue"
    apart = [run for run in runs if run.arm.name != "alternating batches"]
    alone = plan(main(("alternating batches",), whole, Outcomes(())), whole, tmp_path / "alone")
    for run in alone:
        if run.seed == 2:
            finish(run, [task(ranks(99))])
    apart = [run for run in apart if run.seed != 2 or run.arm.name == "InfoNCE + queue"]
    assert candidate(Outcomes([*apart, *alone])) == "InfoNCE + queue"  # of none in common: last


def test_a_batch_that_has_no_fourth_is_refused_with_a_remedy(world: Path, tmp_path: Path) -> None:
    setting = Setting(data=str(world), changes=("optimiser.batch_size=130",))
    with pytest.raises(StudyError, match="multiple of 4"):
        planned(MASKING, setting, tmp_path)


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
    for claim in claims(whole, Outcomes(())):
        for comparison in claim.comparisons:
            assert {comparison.arm, comparison.other} <= arms
    assert MASKING.floor.arm in arms


def test_a_temperature_is_chosen_by_the_galleries_an_objective_is_trained_for(
    whole: Setting, tmp_path: Path
) -> None:
    runs = plan(tuning(tuple(WAYS), whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        mixed = run.arm.name.endswith("at τ 0.05")
        pure = [task(ranks(300 if mixed else 320, 400), f"t{n}") for n in range(9)]
        finish(run, [*pure, task(ranks(120 if mixed else 80, 400), "mixed", "mixed")])
    outcomes = Outcomes(runs)
    apart = {"MAMCL", "MAMCL, quota 16", "single-modality batches"}
    assert {name for name in WAYS if chosen_temperature(name, outcomes) == 0.02} == apart
    assert {chosen_temperature(name, outcomes) for name in WAYS if name not in apart} == {0.05}


def scored(
    setting: Setting, root: Path, arms: Sequence[Arm], scores: Callable[[str], tuple[int, int]]
) -> Outcomes:
    """Outcomes of 100 pure and 100 mixed queries: how many of each an arm's name answers."""
    runs = plan(arms, setting, root)
    for run in runs:
        pure, mixed = scores(run.arm.name)
        finish(run, [task(ranks(pure)), task(ranks(mixed), "mixed", "mixed")])
    return Outcomes(runs)


def test_a_candidates_temperature_is_chosen_as_the_prize_is_won(
    whole: Setting, tmp_path: Path
) -> None:
    """The lesser lead counts, not the sum: a gain in mixed galleries makes up for nothing."""
    name = "half MAMCL, half InfoNCE"
    found = {f"{name} at τ 0.02": (60, 95), f"{name} at τ 0.03": (76, 76)}
    arms = tuning((*PLAIN, name), whole, Outcomes(()))
    outcomes = scored(whole, tmp_path, arms, lambda arm: found.get(arm, (80, 80)))
    assert chosen_temperature(name, outcomes) == 0.05
    without = scored(whole, tmp_path / "b", arms[:-1], lambda arm: found.get(arm, (80, 80)))
    assert chosen_temperature(name, without) == 0.03


def test_the_candidate_is_chosen_on_the_tuning_queries(whole: Setting, tmp_path: Path) -> None:
    runs = plan(main(tuple(WAYS), whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        best = run.arm.name == "alternating batches"
        tempting = run.arm.name == "InfoNCE + queue"
        on_tuning, on_test = (1 if best else 2), (1 if tempting else 2)
        finish(run, [task([on_tuning, on_tuning, on_test, on_test] * 10)])
    assert candidate(Outcomes(runs)) == "alternating batches"


def test_what_a_user_changes_does_not_reach_into_an_objective(world: Path, tmp_path: Path) -> None:
    changes = ("loss.blend=0.5", "data.g_min=8")
    setting = Setting(data=str(world), changes=changes)
    runs = {run.arm.name: run.last.recipe for run in planned(MASKING, setting, tmp_path)}
    for name in ("MAMCL", "InfoNCE", "MAMCL, batch 512"):
        assert (runs[name].loss.blend, runs[name].data.g_min) == (0, 0)
    assert runs["half MAMCL, half InfoNCE"].loss.blend == 0.5
    assert runs["MAMCL, quota 16"].data.g_min == 16
    for change, said in (
        ("loss.temperature_bounds=[0.01, 0.2]", "this study varies it"),
        ("loss.symmetric=true", "candidates of this study know one direction"),
    ):
        with pytest.raises(StudyError, match=said):
            planned(MASKING, Setting(data=str(world), changes=(change,)), tmp_path)


def tuned(whole: Setting, root: Path, best: float, name: str) -> Outcomes:
    """What tuning comes to where scores fall with the distance from one temperature."""
    outcomes = Outcomes(())
    for phase in (tuning, further, further):
        runs = plan(phase((name,), whole, outcomes), whole, root)
        for run in runs:
            tau = run.last.recipe.loss.temperature
            finish(run, [task(ranks(round(300 - 1000 * abs(tau - best)), 400))])
        outcomes.add(runs)
    return outcomes


@pytest.mark.parametrize(
    ("best", "chosen", "more"),
    [(0.03, 0.03, []), (0.08, 0.08, [0.08, 0.12]), (0.2, 0.12, [0.08, 0.12]),
     (0.001, 0.008, [0.012, 0.008]), (0.012, 0.012, [0.012, 0.008]), (0.06, 0.05, [0.08])],
)  # fmt: skip
def test_beyond_a_best_at_the_end_the_next_temperature_is_tried(
    whole: Setting, tmp_path: Path, best: float, chosen: float, more: list[float]
) -> None:
    outcomes = tuned(whole, tmp_path, best, "MAMCL")
    tried = [run.last.recipe.loss.temperature for run in outcomes.runs]
    assert tried == [*TEMPERATURES, *more]
    assert chosen_temperature("MAMCL", outcomes) == chosen
    assert {run.seed for run in outcomes.runs} == {TUNING_SEED}
    (arm,) = main(("MAMCL",), whole, outcomes)
    assert arm.chosen == f"τ {chosen}"


def test_a_further_temperature_that_failed_is_not_tried_twice(
    whole: Setting, tmp_path: Path
) -> None:
    runs = plan(tuning(("MAMCL",), whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        best = run.last.recipe.loss.temperature == max(TEMPERATURES)
        finish(run, [task(ranks(300 if best else 200, 400))])
    outcomes = Outcomes(runs)
    once = plan(further(("MAMCL",), whole, outcomes), whole, tmp_path)
    assert len(once) == 1
    write_json(once[0].last.folder / FAILURE, {"error": "its loss was not finite"})
    outcomes.add(once)
    assert not further(("MAMCL",), whole, outcomes)
    assert chosen_temperature("MAMCL", outcomes) == max(TEMPERATURES)


@pytest.mark.parametrize("lucky", [False, True])
def test_the_prize_is_won_on_fresh_seeds(whole: Setting, tmp_path: Path, lucky: bool) -> None:
    """Whoever was the best of many must match both again."""
    from unite.studies.study import verdicts

    runs = plan(main(tuple(WAYS), whole, Outcomes(())), whole, tmp_path)
    for run in runs:
        good = run.arm.name in ("InfoNCE + queue", "InfoNCE")
        mixed = task(ranks(80 if good else 40, 400), "mixed", "mixed")
        finish(run, [task(ranks(360, 400)), mixed])
    seen = Outcomes(runs)
    assert candidate(seen) == "InfoNCE + queue"
    again = plan(confirmation(whole, seen), whole, tmp_path)
    assert {run.arm.name: run.arm.chosen for run in again} == {
        SINGLE_AGAIN: "τ 0.03", INFONCE_AGAIN: "τ 0.03", WINNER: "InfoNCE + queue, τ 0.03",
    }  # fmt: skip
    assert len(again) == 3 * 10
    assert not {run.seed for run in again} & {*whole.seeds, TUNING_SEED}
    for run in again:
        bad = lucky and run.arm.name == WINNER
        mixed = task(ranks(40 if bad else 80, 400), "mixed", "mixed")
        finish(run, [task(ranks(360, 400)), mixed])
    found = {
        each.claim.source: each for each in verdicts(MASKING, whole, Outcomes([*runs, *again]))
    }
    assert "(InfoNCE + queue)" in found["the prize"].claim.text
    assert found["the prize"].ruling == ("not supported" if lucky else "supported")


def test_every_objective_runs_whatever_the_number_of_jobs(whole: Setting, tmp_path: Path) -> None:
    """Candidates that know one process only are given one."""
    shaped = [run.last for run in planned(MASKING, whole, tmp_path)
              if (run.last.objective or {}).get("kind") == "shaped"]  # fmt: skip
    assert shaped
    assert {node.recipe.run.processes for node in shaped} == {1}
