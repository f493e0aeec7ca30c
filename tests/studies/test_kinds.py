"""Sources by kind: those of the small world, and the paper's recipes as they are shipped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from unite.errors import StudyError
from unite.studies.arm import Setting
from unite.studies.composition import ADDED, COMPOSITION
from unite.studies.kinds import KINDS, dealt, kind_of, kind_weights, sources_in, steps_of
from unite.studies.outcome import Outcomes
from unite.studies.proportions import OWN, PROPORTIONS
from unite.studies.registry import STUDIES
from unite.studies.study import Study, planned
from unite.training.recipe import sources_of

ROWS = {
    "NLI": 30, "MSMARCO": 50, "CapsFusion": 100, "LAION-Art": 60, "MSCOCO": 40,
    "InternVid-FLT": 80, "Tarsier2-Recap-585K": 40,
}  # fmt: skip
PAPER = ("optimiser.batch_size=16",)


def write_sets(root: Path, rows: dict[str, int]) -> None:
    for name, count in rows.items():
        (root / name).mkdir(parents=True)
        pairs = [
            {"query": {"text": f"{name} {n}"}, "candidate": {"text": f"the {n}"}}
            for n in range(count)
        ]
        (root / name / "metadata.json").write_text(json.dumps(pairs))


@pytest.fixture
def paper(tmp_path: Path) -> Setting:
    data = tmp_path / "data"
    write_sets(data / "Unite-Base-Retrieval-Train", ROWS)
    write_sets(data / "Unite-Instruct-Retrieval-Train", {"MMEB-train": 90, "CoVR": 30})
    return Setting(data=str(data), stage1="stage1-2b", stage2="stage2-2b", changes=PAPER)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tt", "TT"), ("ti_fine", "TI"), ("tv_coarse", "TV coarse"), ("tv_fine", "TV fine"),
        ("NLI", "TT"), ("HotpotQA", "TT"), ("LAION-Art", "TI"), ("InternVid-FLT", "TV coarse"),
        ("Tarsier2-Recap-585K", "TV fine"), ("nq_100k", "TT"), ("LAION art", "TI"), ("ttx", None),
        ("nqueens", None), ("feverous", None), ("instruct", None), ("t2i", None),
    ],
)  # fmt: skip
def test_a_source_is_known_by_its_name(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_a_released_folder_is_taken_apart_and_each_row_comes_equally_often(paper: Setting) -> None:
    found = sources_in(paper.first)
    assert found.weights == ROWS
    assert {source.subset for source in found.given.values()} == set(ROWS)
    assert kind_weights(paper) == {"TT": 80, "TI": 200, "TV coarse": 80, "TV fine": 40}


def test_what_has_weights_is_left_as_it_is(world: Path) -> None:
    first = Setting(data=str(world)).first
    found = sources_in(first)
    assert found.given == first.data.sources
    assert found.weights["tv_fine"] == 2.5
    assert steps_of(Setting(data=str(world)).first) is None


def test_an_epoch_that_leaves_rows_out_is_not_counted(world: Path) -> None:
    """`modality_weights` of 0 take rows out that only reading every one of them would tell."""
    left_out = ("optimiser.epochs=1", "data.modality_weights={'text→video'=0}")
    recipe = Setting(data=str(world), changes=left_out).first
    with pytest.raises(StudyError, match="cannot be counted"):
        steps_of(recipe)


def test_without_weights_rows_are_counted(world: Path) -> None:
    setting = Setting(data=str(world), changes=("data.weights={}",))
    rows = {name: len(json.loads((world / "train" / f"{name}.json").read_text()))
            for name in ("tt", "ti_coarse", "ti_fine", "tv_coarse", "tv_fine")}  # fmt: skip
    assert sources_in(setting.first).weights == rows


def test_the_papers_recipes_run_unchanged(paper: Setting, tmp_path: Path) -> None:
    """Composition and proportions; arms see as many pairs, though their data differ in size."""
    runs = {run.arm.name: run for run in planned(COMPOSITION, paper, tmp_path / "c")}
    first = runs["stage 1: TI"].last.recipe
    used = {name: weight for name, weight in first.data.weights.items() if weight}
    assert used == pytest.approx({"CapsFusion": 0.5, "LAION-Art": 0.3, "MSCOCO": 0.2})
    assert set(sources_of(first)) == set(used)  # they are there, as sources of their own
    steps = {run.nodes[0].recipe.optimiser.steps for run in runs.values()}
    assert steps == {sum(ROWS.values()) // 16}
    second = runs["stage 2: + TV fine"].last.recipe
    assert second.data.weights["Tarsier2-Recap-585K"] == pytest.approx(ADDED)
    assert second.data.weights["instruct"] == pytest.approx(1 - ADDED)
    assert second.optimiser.steps == 120 // 16
    assert set(sources_of(second)) == {"instruct", "Tarsier2-Recap-585K"}
    own = next(r for r in planned(PROPORTIONS, paper, tmp_path / "p") if r.arm.name == OWN)
    weights = own.last.recipe.data.weights
    assert weights["NLI"] == pytest.approx(30 / 400, abs=1e-6)
    assert sum(weights.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_study_can_be_planned_with_the_papers_recipes(
    study: Study, paper: Setting, tmp_path: Path
) -> None:
    arms = {run.arm.name for run in planned(study, paper, tmp_path)}
    for claim in study.claims(paper, Outcomes(())):
        for comparison in claim.comparisons:
            assert {comparison.arm, comparison.other} <= arms


def test_a_share_of_the_length_is_taken_once(paper: Setting, tmp_path: Path) -> None:
    run = planned(COMPOSITION, replace(paper, scale=0.5), tmp_path)[0]
    assert run.last.recipe.optimiser.steps == round(sum(ROWS.values()) // 16 / 2)


def test_a_recipe_without_sources_of_a_kind_is_told_the_names() -> None:
    with pytest.raises(StudyError, match=r"kind TV fine.*tv_fine, tarsier2"):
        dealt({"tt": 1.0}, {"TT": 0.5, "TV fine": 0.5})


def test_rows_that_cannot_be_counted_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    shards = "data.sources={ nli = { path = 'a.tar', kind = 'webdataset' } }"
    setting = Setting(data=str(tmp_path), changes=(shards, "data.weights={}"))
    with pytest.raises(StudyError, match=r"'nli' cannot be counted.*data.weights"):
        sources_in(setting.first)


def small(data: Path, sources: str, weights: str = "") -> Setting:
    changes = (f"data.sources={{ {sources} }}", f"data.weights={{ {weights} }}")
    return Setting(data=str(data), changes=changes)


def test_a_folder_of_one_set_is_known_by_the_set(tmp_path: Path) -> None:
    write_sets(tmp_path / "one", {"Tarsier2-Recap-585K": 40})
    found = sources_in(small(tmp_path, 'all = "one"').first)  # and its kind need not be said
    assert found.weights == {"Tarsier2-Recap-585K": 40}


def test_what_would_be_lost_is_told(tmp_path: Path) -> None:
    write_sets(tmp_path / "a", {"NLI": 3, "NQ": 2})
    write_sets(tmp_path / "b", {"NLI": 5, "Extra": 1})
    with pytest.raises(StudyError, match="Two sources are called 'NLI'"):
        sources_in(small(tmp_path, 'one = "a", two = "b"').first)
    with pytest.raises(StudyError, match="'Extra' holds is not known by its name"):
        sources_in(small(tmp_path, 'two = "b"').first)
    alone = small(tmp_path, 'one = "a", two = "nowhere"', "two = 0")  # one weighs by its size
    assert sources_in(alone.first).weights == {"NLI": 3, "NQ": 2, "two": 0}
    nothing = small(tmp_path, 'one = "a", two = "nowhere"', "one = 2, two = 0")
    assert sources_in(nothing.first).weights == pytest.approx({"NLI": 1.2, "NQ": 0.8, "two": 0})


def test_stage_two_keeps_its_own_data_or_is_refused(paper: Setting, tmp_path: Path) -> None:
    alike = (
        'data.sources={ retrieval = { path = "Unite-Instruct-Retrieval-Train", kind = "unite" } }'
    )
    named = tmp_path / "named.toml"
    named.write_text(f'extends = "stage2-2b"\n[data.sources]\n{alike[15:-2]}\n')
    other = replace(paper, stage2=str(named))  # named as stage 1's folder is, which is taken apart
    runs = {run.arm.name: run for run in planned(COMPOSITION, other, tmp_path / "c")}
    assert runs["stage 2: + nothing"].last.recipe.data.weights["retrieval"] == 1.0
    with pytest.raises(StudyError, match="no data beside those of stage 1"):
        planned(COMPOSITION, replace(paper, stage2="stage1-2b"), tmp_path / "d")


def test_kinds_share_no_name() -> None:
    names = [name for known in KINDS.values() for name in known]
    assert len(set(names)) == len(names)
