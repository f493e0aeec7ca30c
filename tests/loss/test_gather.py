"""Several processes together do what one does alone: real processes, unequal numbers of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from tests.loss import ranks

from unite.loss.gather import distributed_mamcl_loss, gather_rows, world_size
from unite.loss.mamcl import mamcl_loss

Found = tuple[int, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    world: int = request.param
    folder = tmp_path_factory.mktemp(f"ranks{world}")
    torch.multiprocessing.spawn(ranks.run, (world, str(folder)), nprocs=world)
    return world, [load(folder / f"{rank}.pt") for rank in range(world)]


def load(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


@pytest.mark.parametrize("number", range(len(ranks.FORMS)), ids=[str(f) for f in ranks.FORMS])
def test_the_mean_over_processes_is_the_loss_of_the_whole_batch(found: Found, number: int) -> None:
    world, results = found
    single = ranks.with_gradient(ranks.whole(world), ranks.FORMS[number])
    several = [result["forms"][number] for result in results]
    for name in ("loss", "gradient"):
        mean = torch.stack([part[name] for part in several]).mean(0)
        assert torch.allclose(mean, single[name], rtol=0, atol=1e-12), name
    for name in ("rows", "rivals", "duplicates"):
        assert torch.allclose(torch.cat([part[name] for part in several]), single[name]), name


def test_rows_are_joined_in_order_of_rank(found: Found) -> None:
    world, results = found
    given = ranks.whole(world)
    ends = torch.tensor(ranks.PAIRS[world]).cumsum(0).tolist()
    for rank, result in enumerate(results):
        assert torch.equal(result["gathered"], given["query"])
        assert torch.equal(result["codes"], given["target_modality"])
        assert result["place"] == (ends[rank] - ranks.PAIRS[world][rank], ends[rank])


def test_no_hard_negatives_anywhere_are_as_if_none_were_given(found: Found) -> None:
    for result in found[1]:
        without, empty = result["empty"]
        assert float(without) == float(empty)


def test_one_process_gathers_nothing() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert world_size() == 1
    assert gather_rows(rows) == (rows, slice(0, 3))


def test_one_process_has_the_plain_loss() -> None:
    given = ranks.whole(2)
    pair = given["query"], given["candidate"], given["target_modality"]
    several = distributed_mamcl_loss(
        *pair, query_ids_A=given["query_ids"], candidate_ids_A=given["candidate_ids"]
    )
    single = mamcl_loss(
        *pair, query_ids_N=given["query_ids"], candidate_ids_N=given["candidate_ids"]
    )
    assert float(several.loss) == float(single.loss)
