from dataclasses import replace
from pathlib import Path

import pytest
from tests.studies.conftest import NARROW, first, second

from unite.errors import StudyError
from unite.studies.arm import Arm, Setting, Stage
from unite.studies.grid import nodes_of
from unite.studies.node import FAILURE, Run, fingerprint, plan, write_json


def arms() -> list[Arm]:
    return [
        Arm("one", (first(), second("loss.masked=false"))),
        Arm("other", (first(), second("loss.masked=true"))),
    ]


def names(runs: list[Run]) -> list[str]:
    return [node.folder.name for run in runs for node in run.nodes]


def test_arms_share_a_stage_that_is_equal(setting: Setting, tmp_path: Path) -> None:
    runs = plan(arms(), replace(setting, seeds=(0, 1)), tmp_path)
    assert len(runs) == 4
    nodes = nodes_of(runs)
    assert len(nodes) == 6  # a first stage a seed, a second one a run
    assert [node.scored for node in nodes].count(True) == 4
    for node in nodes:
        assert node.parent is None or nodes.index(node) > [n.folder for n in nodes].index(
            node.parent.folder
        )


def test_a_stage_that_is_an_arms_end_and_anothers_beginning_is_scored_once(
    setting: Setting, tmp_path: Path
) -> None:
    both = [
        Arm("whole", (first(), second()), group="whole"),
        Arm("half", (first(),), group="half"),
    ]
    for order in (both, both[::-1]):
        nodes = nodes_of(plan(order, setting, tmp_path))
        assert [node.scored for node in nodes] == [True, True]


def test_names_do_not_depend_on_places_and_ways_of_running(
    setting: Setting, tmp_path: Path
) -> None:
    found = names(plan(arms(), setting, tmp_path / "a"))
    moved = replace(setting, changes=(*setting.changes, "run.workers=3"))
    assert names(plan(arms(), moved, tmp_path / "b")) == found


@pytest.mark.parametrize(
    "change", ["optimiser.learning_rate=0.5", "optimiser.steps=6", "data.g_min=4"]
)
def test_names_depend_on_what_is_learned(change: str, setting: Setting, tmp_path: Path) -> None:
    found = set(names(plan(arms(), setting, tmp_path)))
    other = replace(setting, changes=(*setting.changes, change))
    assert not found & set(names(plan(arms(), other, tmp_path)))


def test_a_default_is_the_same_said_or_unsaid(setting: Setting, tmp_path: Path) -> None:
    found = names(plan(arms(), setting, tmp_path))
    for said, same in {
        "model.positions=1d": True,
        "model.pooling=last": True,
        "model.positions=mrope": False,
        "model.pooling=mean": False,
    }.items():
        stages = (Stage("small-stage1", (*NARROW, said)), second("loss.masked=false"))
        (run,) = plan([Arm("one", stages)], setting, tmp_path)
        assert ([node.folder.name for node in run.nodes] == found[:2]) is same
    # A given start may have been trained with others: there nothing said is another thing.
    stages = (first(), second("loss.masked=false", "model.pooling=last"))
    (run,) = plan([Arm("one", stages)], setting, tmp_path)
    assert run.last.folder.name != found[1]


def test_names_depend_on_data_seed_and_objective(setting: Setting, tmp_path: Path) -> None:
    found = set(names(plan(arms(), setting, tmp_path)))
    assert not found & set(names(plan(arms(), replace(setting, seeds=(1,)), tmp_path)))
    assert not found & set(names(plan(arms(), replace(setting, data=str(tmp_path)), tmp_path)))
    stage = replace(second("loss.masked=true"), objective={"kind": "queue", "batches": 2})
    (run,) = plan([Arm("queue", (first(), stage))], setting, tmp_path)
    assert run.nodes[0].folder.name in found
    assert run.last.folder.name not in found


def test_a_world_is_known_by_its_facts_and_other_data_by_their_place(
    world: Path, tmp_path: Path
) -> None:
    (tmp_path / "world.json").write_bytes((world / "world.json").read_bytes())
    assert fingerprint(tmp_path) == fingerprint(world)
    assert fingerprint(tmp_path / "none") == str(tmp_path / "none")


def test_arms_of_one_group_must_see_equally_much(setting: Setting, tmp_path: Path) -> None:
    longer = Arm("longer", (first(), second("optimiser.steps=8")))
    with pytest.raises(StudyError, match="unequal budgets"):
        plan([*arms(), longer], setting, tmp_path)
    plan([*arms(), replace(longer, group="longer")], setting, tmp_path)


def test_a_run_fails_with_the_reason_of_its_first_stage(setting: Setting, tmp_path: Path) -> None:
    (run, _) = plan(arms(), setting, tmp_path)
    assert run.reason is None
    write_json(run.nodes[0].folder / FAILURE, {"error": "no room"})
    assert run.reason == "stage 1: no room"
