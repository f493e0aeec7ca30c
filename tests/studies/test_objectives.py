import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.loss.test_module import features
from torch import Tensor

from unite.errors import StudyError
from unite.loss import MamclLoss
from unite.studies.objectives import QueueLoss, ShapedLoss, objective
from unite.training.recipe_files import load_recipe

TEXT, IMAGE = 1, 2


def both(plain: dict[str, Any], shaped: dict[str, Any]) -> tuple[MamclLoss, MamclLoss, Tensor]:
    """Loss and gradient of both; the gradients' largest difference."""
    grads, losses = [], []
    for kind, options in ((MamclLoss, plain), (ShapedLoss, shaped)):
        table, joint, _ = features(count=40, negatives=12)
        loss = kind(table, temperature=0.05, **options)
        value = loss([joint])
        value.backward()
        grads.append(table.vector_RD.grad)
        losses.append(loss)
        losses[-1].value = value.detach()
    return *losses, (grads[0] - grads[1]).abs().max()


@pytest.mark.parametrize(
    ("plain", "shaped"),
    [
        ({"masked": False}, {"weight": 1.0}),
        ({"masked": True}, {"weight": 0.0}),
        ({"masked": True}, {"weight": 0.0, "split": True}),
        ({"masked": True}, {"weight": 0.0, "anneal": 1.0}),
    ],
)
def test_its_ends_are_infonce_and_mamcl(plain: dict[str, Any], shaped: dict[str, Any]) -> None:
    reference, loss, apart = both(plain, shaped)
    torch.testing.assert_close(loss.value, reference.value)
    assert apart < 1e-12
    assert reference.last is not None
    assert loss.last is not None
    if "split" not in shaped:
        assert torch.equal(loss.last.correct_A, reference.last.correct_A)
        assert torch.equal(loss.last.rivals_A, reference.last.rivals_A)


def test_a_weight_lies_between_them_and_a_softer_temperature_does() -> None:
    table, joint, _ = features(count=40, negatives=12)
    ends = [MamclLoss(table, temperature=0.05, masked=m)([joint]) for m in (True, False)]
    for options in ({"weight": 0.1}, {"weight": 0.1, "cross_ratio": 2.0}):
        between = ShapedLoss(table, temperature=0.05, **options)([joint])
        assert ends[0] < between < ends[1]


def test_the_mask_is_lifted_over_the_run() -> None:
    table, _, _ = features()
    loss = ShapedLoss(table, weight=0.0, anneal=1.0)
    weights = []
    for step in range(5):
        loss.on_step_begin(None, SimpleNamespace(global_step=step, max_steps=5), None)
        weights.append(loss.weight)
    assert weights == [0.0, 0.25, 0.5, 0.75, 1.0]
    loss = ShapedLoss(table, weight=0.2, anneal=1.0, over=0.5)
    for step, weight in ((0, 0.2), (1, 0.6), (2, 1.0), (3, 1.0), (4, 1.0)):
        loss.on_step_begin(None, SimpleNamespace(global_step=step, max_steps=5), None)
        assert loss.weight == pytest.approx(weight)


@pytest.mark.parametrize(("ratio", "softer"), [(2.0, True), (0.5, False)])
def test_other_modalities_have_a_temperature_in_proportion(ratio: float, softer: bool) -> None:
    """Of one rival above the positive, in another modality: log(1 + exp(s / (ratio · τ)))."""
    vector_RD = torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]], dtype=torch.float64)
    loss = ShapedLoss(torch.nn.Identity(), weight=1.0, cross_ratio=ratio, temperature=0.2)
    value = loss.contrast(vector_RD, labels(IMAGE, meanings=(1, 1, 2)))
    plain = ShapedLoss(torch.nn.Identity(), weight=1.0, temperature=0.2)
    other = plain.contrast(vector_RD, labels(IMAGE, meanings=(1, 1, 2)))
    assert value.item() == pytest.approx(math.log1p(math.exp(0.4 / (ratio * 0.2))))
    assert (value < other) == softer


@pytest.mark.parametrize(
    ("as_asked", "instructed", "negative", "is_rival"),
    [
        (False, True, IMAGE, False),
        (True, True, IMAGE, True),
        (True, False, IMAGE, False),
        (True, True, TEXT, False),
    ],
)
def test_the_same_in_another_modality_is_a_rival_where_one_is_asked_for(
    as_asked: bool, instructed: bool, negative: int, is_rival: bool
) -> None:
    vector_RD = torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]], dtype=torch.float64)
    loss = ShapedLoss(torch.nn.Identity(), weight=1.0, as_asked=as_asked)
    rows = labels(negative, meanings=(1, 1, 1), instructed=instructed)
    assert (loss.contrast(vector_RD, rows) > 0) == is_rival
    assert loss.last is not None
    assert loss.last.rivals_A.tolist() == [int(is_rival)]


def labels(
    negative: int, meanings: tuple[int, int, int], *, instructed: bool = False
) -> dict[str, Any]:
    """A text, the text it asks for and a hard negative."""
    return {
        "side": torch.tensor([0, 1, 2]),
        "modality": torch.tensor([TEXT, TEXT, negative]),
        "content_id": torch.tensor(meanings),
        "also_id": torch.tensor(meanings),
        "instructed": torch.tensor([int(instructed), 0, 0]),
        "has_negatives": True,
    }


def test_the_queues_candidates_are_rivals_without_gradient() -> None:
    table, joint, plain = features(count=6, negatives=0)
    loss = QueueLoss(table, batches=2, temperature=0.05, masked=False)
    first = loss([joint])
    torch.testing.assert_close(first, MamclLoss(table, temperature=0.05, masked=False)([joint]))
    moved = {**joint, "content_id": joint["content_id"] + 1000, "also_id": joint["also_id"] + 1000}
    second = loss([moved])  # other meanings: all six of the first batch are rivals
    assert second > first
    assert loss.last is not None
    assert (loss.last.rivals_A >= 6).all()
    kept = [part["vector"] for part in loss._queue]
    assert len(kept) == 2
    assert not any(part.requires_grad for part in kept)
    torch.testing.assert_close(kept[0], plain["candidate_ND"])


def test_the_queue_knows_equal_meanings_and_its_length() -> None:
    table, joint, _ = features(count=6, negatives=0)
    loss = QueueLoss(table, batches=1, temperature=0.05, masked=False)
    for _ in range(3):
        loss([joint])
    assert loss.last is not None
    reference = MamclLoss(table, temperature=0.05, masked=False)
    reference([joint])
    assert reference.last is not None
    own = loss.last.duplicates_A - reference.last.duplicates_A
    assert (own >= 1).all()  # a row's own candidate of the batch before is no rival
    assert len(loss._queue) == 1


def test_an_objective_is_made_of_its_row() -> None:
    table, _, _ = features()
    recipe = load_recipe("small-stage2", ["loss.temperature=0.07"])
    made = objective({"kind": "shaped", "weight": 0.3, "split": True})(table, recipe)
    assert isinstance(made, ShapedLoss)
    assert (made.temperature, made.weight, made.split) == (0.07, 0.3, True)
    with pytest.raises(StudyError, match="Did you mean 'shaped'"):
        objective({"kind": "shapd"})
    with pytest.raises(StudyError, match="one process and one direction"):
        objective({"kind": "shaped", "weight": 0.3})(table, load_recipe("small-stage1"))
