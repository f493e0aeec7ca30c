"""What each process of a gather test runs; apart from the tests, because it is imported anew."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unite.loss.gather import distributed_mamcl_loss, gather_rows, world_size
from unite.loss.mamcl import Contrast, mamcl_loss

WIDTH = 5
PAIRS = {2: (3, 6), 4: (2, 5, 1, 3)}
NEGATIVES = {2: (4, 1), 4: (1, 2, 3, 1)}
FORMS = [
    {"symmetric": symmetric, "masked": masked, "hard": hard}
    for symmetric, masked, hard in itertools.product((False, True), repeat=3)
]


def weights() -> Tensor:
    """The parameter of a linear model, the same on every process."""
    return torch.randn(
        WIDTH, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


def whole(world: int) -> dict[str, Tensor]:
    """The inputs of all processes, in order of rank."""
    pairs, negatives = sum(PAIRS[world]), sum(NEGATIVES[world])
    generator = torch.Generator().manual_seed(world)

    def floats(rows: int) -> Tensor:
        return torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64)

    def codes(rows: int) -> Tensor:
        return torch.tensor([1, 2, 4])[torch.randint(3, (rows,), generator=generator)]

    def ids(rows: int) -> Tensor:
        return torch.randint(pairs, (rows,), generator=generator)

    return {
        "query": floats(pairs),
        "candidate": floats(pairs),
        "negative": floats(negatives),
        "target_modality": codes(pairs),
        "negative_modality": codes(negatives),
        "query_ids": ids(pairs),
        "candidate_ids": ids(pairs),
        "negative_ids": ids(negatives),
    }


def own(given: dict[str, Tensor], rank: int, world: int) -> dict[str, Tensor]:
    """One process's part of the inputs."""
    return {
        name: part.split(list((NEGATIVES if name.startswith("negative") else PAIRS)[world]))[rank]
        for name, part in given.items()
    }


def loss_of(
    given: dict[str, Tensor], weight: Tensor, *, symmetric: bool, masked: bool, hard: bool
) -> Contrast:
    """The loss of a linear model's vectors, over all processes where there are several."""
    vectors = {
        name: nn.functional.normalize(given[name] @ weight, dim=-1)
        for name in ("query", "candidate", "negative")
    }
    options: dict[str, Any] = {"temperature": 0.1, "symmetric": symmetric, "masked": masked}
    if hard:
        options |= {
            "negative_MD": vectors["negative"],
            "negative_modality_M": given["negative_modality"],
            "negative_ids_M": given["negative_ids"],
        }
    pair = vectors["query"], vectors["candidate"], given["target_modality"]
    ids = given["query_ids"], given["candidate_ids"]
    if world_size() == 1:
        return mamcl_loss(*pair, query_ids_N=ids[0], candidate_ids_N=ids[1], **options)
    return distributed_mamcl_loss(*pair, query_ids_A=ids[0], candidate_ids_A=ids[1], **options)


def with_gradient(given: dict[str, Tensor], form: dict[str, bool]) -> dict[str, Tensor]:
    weight = weights().requires_grad_()
    contrast = loss_of(given, weight, **form)
    contrast.loss.backward()
    assert weight.grad is not None
    return {
        "loss": contrast.loss.detach(),
        "gradient": weight.grad,
        "rows": contrast.row_loss_A,
        "rivals": contrast.rivals_A,
        "duplicates": contrast.duplicates_A,
    }


def run(rank: int, world: int, folder: str) -> None:
    """Write what this process found to the folder."""
    torch.set_num_threads(1)
    meeting = Path(folder) / "meeting"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    given = own(whole(world), rank, world)
    found: dict[str, Any] = {"forms": [with_gradient(given, form) for form in FORMS]}
    pair = given["query"], given["candidate"], given["target_modality"]
    ids = {"query_ids_A": given["query_ids"], "candidate_ids_A": given["candidate_ids"]}
    none = {
        "negative_MD": given["negative"][:0],
        "negative_modality_M": given["negative_modality"][:0],
    }
    found["empty"] = [
        distributed_mamcl_loss(*pair, **ids, **more).loss  # type: ignore[arg-type]
        for more in ({}, {**none, "negative_ids_M": given["negative_ids"][:0]})
    ]
    rows, place = gather_rows(given["query"])
    codes, _ = gather_rows(given["target_modality"])
    found |= {"gathered": rows, "codes": codes, "place": (place.start, place.stop)}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
