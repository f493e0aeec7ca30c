"""Packed rows and the other savings against the plain path: embeddings and LoRA gradients in fp32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.test_qwen2_vl import ALIKE, CONFIG, ROWS, collate, randomised
from torch import Tensor

from unite.model import language, packing, qwen2_vl
from unite.model.adapters import add_adapters
from unite.model.packing import Packing
from unite.model.qwen2_vl import Qwen2VLEncoder

MIXED = [*ROWS, *ALIKE, [21, 22, 23, *range(1, 45), 62]]
Result = tuple[Tensor, dict[str, Tensor]]


def adapted() -> Qwen2VLEncoder:
    """Frozen but for adapters, whose second matrices are not zero."""
    encoder = randomised(CONFIG)
    torch.manual_seed(0)
    add_adapters(encoder, 4, 8, 0.0)
    for name, part in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(part, 0, 0.1)
    return encoder


def computed(encoder: Qwen2VLEncoder, **batch: Any) -> Result:
    """Unit vectors, and the gradient of a function of all of them."""
    encoder.zero_grad(set_to_none=True)
    vector_BD = torch.nn.functional.normalize(encoder(**(collate(MIXED) | batch)), dim=-1)
    weight = torch.linspace(-1, 1, vector_BD.numel()).reshape_as(vector_BD)
    (vector_BD * weight).sum().backward()
    grads = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    return vector_BD.detach(), grads


def assert_equal(found: Result, expected: Result) -> None:
    assert (found[0] - expected[0]).abs().max() < 1e-5
    assert set(found[1]) == set(expected[1])
    assert len(found[1]) == 2 * 7 * CONFIG.depth
    for name, part in expected[1].items():
        assert (found[1][name] - part).norm() < 1e-5 * part.norm(), name


def plainly(monkeypatch: pytest.MonkeyPatch) -> Result:
    """Transformers-like: one row at a time, no shared prefix, the last layer for every token."""
    whole = language.DecoderLayer.forward

    def every(
        self: Any,
        hidden: Tensor,
        rotation: Any,
        packed: Any,
        *,
        last: bool = False,
        past: Any = None,
    ) -> Any:
        out = whole(self, hidden, rotation, packed, past=past)
        return out[packed.last_B] if last else out

    with monkeypatch.context() as patch:
        patch.setattr(language.DecoderLayer, "forward", every)
        patch.setattr(qwen2_vl, "shared_prefix", lambda *_: 0)
        patch.setattr(packing, "length_groups", lambda lengths: [[r] for r in range(len(lengths))])
        return computed(adapted())


SAVINGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "all": lambda _: None,
    "without a shared prefix": lambda patch: patch.setattr(
        qwen2_vl, "shared_prefix", lambda *_: 0
    ),
    "in one padded group": lambda patch: patch.setattr(
        packing, "length_groups", lambda lengths: [sorted(range(len(lengths)), key=lambda row: -lengths[row])]
    ),
    "in groups of no waste": lambda patch: patch.setattr(
        packing, "length_groups", lambda lengths: GROUPS(lengths, 0.0)
    ),
}  # fmt: skip
GROUPS = packing.length_groups


@pytest.mark.parametrize("name", SAVINGS)
def test_every_saving_equals_the_plain_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plainly(monkeypatch)
    SAVINGS[name](monkeypatch)
    assert_equal(computed(adapted()), expected)


def test_visual_tokens_that_are_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, batch = adapted(), collate(MIXED)
    with torch.no_grad():
        seen = encoder.see(batch["patches_PK"], batch["grids"])
    assert [len(part) for part in seen] == [t * h * w // 4 for t, h, w in batch["grids"]]
    assert_equal(computed(encoder, patches_PK=None, seen=seen), plainly(monkeypatch))


def test_computing_layers_again_saves_memory_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = adapted().train()
    encoder.save_memory()
    calls: list[int] = []
    encoder.model.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))
    found = computed(encoder)
    assert len(calls) == 2  # once more in the backward pass
    assert_equal(found, plainly(monkeypatch))


def test_a_frozen_vision_tower_leaves_no_graph() -> None:
    encoder = adapted()
    seen = encoder.see(collate(MIXED)["patches_PK"], collate(MIXED)["grids"])
    assert not any(part.requires_grad for part in seen)


def test_each_layer_is_called_once_whatever_the_lengths() -> None:
    """Processes that share parameters wait for each other at every call."""
    encoder, calls = adapted(), []
    for layer in encoder.model.layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    for rows in ([MIXED[0]], MIXED, MIXED[:3]):
        calls.clear()
        encoder(**collate(rows))
        assert len(calls) == CONFIG.depth


@settings(max_examples=100)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=12), st.integers(0, 9))
def test_a_packing_holds_every_token_once(lengths: list[int], shared: int) -> None:
    shared = min(shared, min(lengths) - 1)
    width = max(lengths) + 3
    packed = Packing.of(lengths, width, shared, torch.device("cpu"))
    kept = shared if len(lengths) > 1 else 0
    assert packed.shared == kept
    assert len(packed.source_T) == kept + sum(length - kept for length in lengths)
    row, place = packed.source_T // width, packed.source_T % width
    assert torch.equal(place, packed.position_T)
    own = {(int(r), int(p)) for r, p in zip(row[kept:], place[kept:], strict=True)}
    assert own == {(r, p) for r, length in enumerate(lengths) for p in range(kept, length)}
    ends = packed.source_T[packed.last_B][packed.order_B]
    assert ends.tolist() == [r * width + length - 1 for r, length in enumerate(lengths)]
    for group in packed.groups:
        states = torch.arange(len(packed.source_T))[:, None, None].float()
        assert torch.equal(group.packed(group.padded(states)), states[group.span])


@settings(max_examples=25)
@given(st.data())
def test_a_remembered_prefix_changes_nothing(data: st.DataObject) -> None:
    encoder = randomised(CONFIG)
    prefix = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    cut = data.draw(st.integers(1, len(prefix)))
    count = data.draw(st.integers(1, len(MIXED)))
    rows = [[*prefix, *row] for row in MIXED[:count]]
    with torch.inference_mode():
        known = encoder.remember(torch.tensor(prefix[:cut]))
        assert known.length == cut
        found, expected = (encoder(**collate(rows), prefix=part) for part in (known, None))
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
