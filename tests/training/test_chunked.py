"""A chunked step is the whole batch's step: same gradient, dropout on, on any number of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from tests.training import steps
from tests.training.steps import Setting
from torch import Tensor

from unite.training.chunked import RandomState


def worst(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Length of the difference of two gradients, relative to that of one, at worst of a tensor
    that matters and over all of them."""
    assert set(one) == set(other)
    assert one
    apart = torch.stack([(one[name] - part).norm() for name, part in other.items()])
    length = torch.stack([part.norm() for part in other.values()])
    matters = length > 1e-4 * length.norm()
    return float(max((apart / length)[matters].max(), apart.norm() / length.norm()))


@pytest.mark.parametrize("dropout", [0.1, None], ids=["adapters with dropout", "all trained"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_equals_one_graph_over_the_same_chunks(
    small_world: Path, tmp_path: Path, dropout: float | None, symmetric: bool
) -> None:
    def setting() -> Setting:
        return Setting(
            small_world, tmp_path, chunk_tokens=700, dropout=dropout,
            symmetric=symmetric, bounds=(0.01, 1.0),
        )  # fmt: skip

    chunked, plain = setting(), setting()
    assert len(chunked.feed.chunks(0)) > 3
    losses = chunked.run(), plain.in_one_graph()
    assert float(losses[0]) == pytest.approx(float(losses[1]), abs=1e-6)
    found = chunked.gradients()
    assert "temperature" in found
    assert any("visual" in name for name in found) == (dropout is None)
    assert worst(found, plain.gradients()) < 1e-6


def test_without_replay_dropout_would_give_another_gradient(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Setting(small_world, tmp_path, chunk_tokens=700)
    plain.in_one_graph()
    chunked = Setting(small_world, tmp_path, chunk_tokens=700)
    monkeypatch.setattr(RandomState, "_set", lambda self: None)
    chunked.run()
    assert worst(chunked.gradients(), plain.gradients()) > 0.01


def test_the_chunks_do_not_matter_without_dropout(small_world: Path, tmp_path: Path) -> None:
    found = []
    for tokens in (None, 5000, 700, 1):
        setting = Setting(small_world, tmp_path, chunk_tokens=tokens, dropout=0.0)
        setting.run()
        found.append(setting.gradients())
    assert len(Setting(small_world, tmp_path, chunk_tokens=1).feed.chunks(0)) == steps.BATCH
    for other in found[1:]:
        assert worst(other, found[0]) < 1e-5


@pytest.mark.parametrize("dropout", [0.1, None])
@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_kept_between_the_passes_changes_no_bit(
    small_world: Path, tmp_path: Path, dropout: float | None, workers: int
) -> None:
    found = []
    for keep_bytes in (1 << 30, 100_000, 0):
        setting = Setting(
            small_world, tmp_path, chunk_tokens=700, dropout=dropout, keep_bytes=keep_bytes,
            workers=workers,
        )  # fmt: skip
        setting.run()
        found.append(setting.gradients())
        assert setting.feed.ledger.bad == 0
    for other in found[1:]:
        assert all(torch.equal(part, found[0][name]) for name, part in other.items())


def test_visual_tokens_from_disk_change_no_bit(small_world: Path, tmp_path: Path) -> None:
    found, files = [], []
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        setting = Setting(small_world, tmp_path, chunk_tokens=700, cache=cache)
        looks: list[Any] = []
        tower = setting.model.encoder.visual
        tower.register_forward_hook(lambda *_, looks=looks: looks.append(1))
        setting.run()
        found.append(setting.gradients())
        files.append(len(list((tmp_path / "cache").rglob("*.safetensors"))))
        if len(found) == 3:
            assert not looks
    assert files[0] == 0
    assert files[1] == files[2] > 20
    for other in found[1:]:
        assert all(torch.equal(part, found[0][name]) for name, part in other.items())


def test_a_chunk_without_gradient_is_not_computed_again(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(small_world, tmp_path, chunk_tokens=700)
    calls = []
    setting.network.register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    contrast = setting.loss.contrast

    def first_rows_only(vector_RD: Tensor, features: dict[str, Any]) -> Tensor:
        contrast(vector_RD, features)
        return vector_RD[:2].sum()

    monkeypatch.setattr(setting.loss, "contrast", first_rows_only)
    setting.run()
    chunks = len(setting.feed.chunks(0))
    assert calls == [False] * chunks + [True]
    monkeypatch.setattr(setting.loss, "contrast", lambda vector, _: 0.0 * vector.sum())
    setting.run()
    assert calls[chunks + 1 :] == [False] * chunks + [True]  # one backward pass all the same


def test_a_step_leaves_random_numbers_as_one_graph_would(small_world: Path, tmp_path: Path) -> None:
    states = []
    for name in ("run", "in_one_graph"):
        getattr(Setting(small_world, tmp_path, chunk_tokens=700), name)()
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_a_scaled_step_has_a_scaled_gradient(small_world: Path, tmp_path: Path) -> None:
    found = []
    for scale in (1.0, 0.5):
        setting = Setting(small_world, tmp_path, chunk_tokens=700, bounds=(0.01, 1.0))
        torch.manual_seed(7)
        loss = setting.step.run(setting.network, 0, setting.hooks(), scale=scale)
        found.append({name: part / scale for name, part in setting.gradients().items()})
        assert float(loss) == pytest.approx(float(setting.loss.last.loss.detach()))  # type: ignore[union-attr]
    assert worst(found[1], found[0]) < 1e-5


@pytest.mark.parametrize(
    ("world", "kind"),
    [
        (2, "ddp"),
        pytest.param(2, "fsdp", marks=pytest.mark.slow),
        pytest.param(4, "ddp", marks=pytest.mark.slow),
    ],
)
def test_any_number_of_processes_gives_one_gradient(
    small_world: Path, tmp_path: Path, world: int, kind: str
) -> None:
    arguments = (world, str(tmp_path), str(small_world), kind)
    torch.multiprocessing.spawn(steps.processes, arguments, nprocs=world)
    found = [torch.load(tmp_path / f"{number}.pt") for number in range(world)]
    for form in steps.forms(kind, world):
        single = Setting(small_world, tmp_path, **form)
        loss = single.run(steps.STEPS[kind])
        several = [part[str(form)] for part in found]
        assert sum(sum(part["rows"]) for part in several) == steps.BATCH
        if form["chunk_tokens"] in (*steps.UNEVEN.values(), *steps.FSDP_TOKENS):
            assert len({len(part["rows"]) for part in several}) > 1
        mean = torch.stack([part["loss"] for part in several]).mean()
        assert float(mean) == pytest.approx(float(loss), abs=1e-6)
        expected = single.gradients()
        for part in several:
            assert worst(part["gradients"], expected) < 1e-6
